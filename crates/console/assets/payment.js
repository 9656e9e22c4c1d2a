// The form of Stripe, into which a card is entered: of what is typed there, this page learns only whether it worked.
(() => {
  const form = document.querySelector("form[data-payment-key]");
  const button = form.querySelector("button[type=submit]");
  const error = form.querySelector("[data-payment-error]");
  const show = (text) => (error.textContent = text);
  const unreachable = "Stripe could not be reached. Check the connection and reload the page.";
  const run = async () => {
    if (!window.Stripe) return show(unreachable);
    const answer = await fetch(form.dataset.paymentSetup, { method: "POST" });
    if (!answer.ok) return show(unreachable);
    const setup = await answer.json();
    const stripe = window.Stripe(form.dataset.paymentKey);
    const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe";
    const elements = stripe.elements({ clientSecret: setup.client_secret, appearance: { theme } });
    elements.create("payment").mount(form.querySelector("[data-payment-form]"));
    button.disabled = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      show("");
      button.disabled = true;
      // Some banks ask the payer on a page of theirs, in a frame.
      const done = await stripe.confirmSetup({ elements, redirect: "if_required" });
      if (done.error) {
        button.disabled = false;
        return show(done.error.message);
      }
      form.elements.setup.value = setup.setup;
      form.submit();
    });
  };
  run().catch(() => show(unreachable));
})();
