// The form of Stripe, into which a card is entered, and the question of a bank whether a payment is confirmed: of what is
// typed there, this page learns only whether it worked.
(() => {
  const form = document.querySelector("form[data-payment-key]");
  const button = form.querySelector("button[type=submit]");
  const error = form.querySelector("[data-payment-error]");
  const show = (text) => (error.textContent = text);
  const unreachable = "Stripe could not be reached. Check the connection and reload the page.";

  /** Shows the form of Stripe; what sends it. */
  const enter = async (stripe) => {
    const answer = await fetch(form.dataset.paymentSetup, { method: "POST" });
    if (!answer.ok) throw new Error(answer.status);
    const setup = await answer.json();
    const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe";
    const elements = stripe.elements({ clientSecret: setup.client_secret, appearance: { theme } });
    elements.create("payment").mount(form.querySelector("[data-payment-form]"));
    return async () => {
      // Some banks ask the payer on a page of theirs, in a frame.
      const done = await stripe.confirmSetup({ elements, redirect: "if_required" });
      if (!done.error) form.elements.setup.value = setup.setup;
      return done;
    };
  };

  /** What shows the question of the bank. */
  const confirm = (stripe) => async () => {
    const answer = await fetch(form.dataset.paymentConfirmation, { method: "POST" });
    const { client_secret: secret } = answer.ok ? await answer.json() : {};
    // There is nothing to confirm any more, or it failed: the next page says so.
    if (!secret) return {};
    const found = await stripe.retrievePaymentIntent(secret);
    if (found.error) return found;
    const { status, last_payment_error: last } = found.paymentIntent;
    if (["succeeded", "processing"].includes(status)) return {};
    // Banks that ask decline what is charged while the payer is away: the same card is charged again, now that they are here.
    const method = status === "requires_payment_method" && last?.payment_method?.id;
    return stripe.confirmCardPayment(secret, method ? { payment_method: method } : undefined);
  };

  const run = async () => {
    if (!window.Stripe) return show(unreachable);
    const stripe = window.Stripe(form.dataset.paymentKey);
    const act = form.dataset.paymentSetup ? await enter(stripe) : confirm(stripe);
    button.disabled = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      show("");
      button.disabled = true;
      const done = await act().catch(() => ({ error: { message: unreachable } }));
      if (!done.error) return form.submit();
      button.disabled = false;
      show(done.error.message);
    });
  };
  run().catch(() => show(unreachable));
})();
