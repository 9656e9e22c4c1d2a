// A card is entered into the form of Stripe, and a payment is confirmed: beside a stand-in for its API and its script, which
// are not of this host.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { assertQuiet, launch, open, overflows, signIn, toast, violations, WIDE } from "./browser.mjs";
import { startWithUsers, until } from "./service.mjs";

const SECRET = "seti_1_secret_of_the_payer", CHARGE_SECRET = "pi_1_secret_of_the_payer";
const CARD = { id: "pm_1", type: "card", card: { brand: "visa", last4: "4242", exp_year: 2030, exp_month: 4, fingerprint: "f" } };

/** Answers what the service asks of Stripe. What is charged while the payer is away is declined, because the bank asks. */
const startStripe = async () => {
  let setup, intent;
  const server = createServer(async (request, response) => {
    const parts = await request.setEncoding("utf8").toArray();
    const body = new URLSearchParams(parts.join(""));
    const answers = {
      "POST /v1/customers": () => ({ id: "cus_1" }),
      "POST /v1/setup_intents": () => {
        const metadata = { organization: body.get("metadata[organization]") };
        setup = { id: "seti_1", client_secret: SECRET, status: "succeeded", customer: "cus_1", payment_method: "pm_1", metadata };
        return setup;
      },
      "GET /v1/setup_intents/seti_1": () => setup,
      "POST /v1/payment_methods/pm_1/attach": () => CARD,
      "POST /v1/payment_intents": () => {
        const metadata = Object.fromEntries(["payment", "organization"].map(name => [name, body.get(`metadata[${name}]`)]));
        const last_payment_error = { code: "authentication_required", payment_method: { id: body.get("payment_method") } };
        intent = { id: "pi_1", client_secret: CHARGE_SECRET, status: "requires_payment_method", last_payment_error, metadata, created: Date.now() / 1000 | 0 };
        return { error: { ...last_payment_error, type: "card_error", payment_intent: intent } };
      },
      "GET /v1/payment_intents": () => ({ data: intent ? [intent] : [], has_more: false }),
    };
    const answer = answers[`${request.method} ${request.url.replace(/\?.*/, "")}`]?.();
    response.writeHead(answer?.error ? 402 : answer ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { error: { message: "unknown" } }));
  });
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close(),
    confirm: () => (intent.status = "succeeded"),
  };
};

/** Stands for the script of Stripe: a form with a field, which is declined first, and a question of the bank, whose first answer is no. */
const SCRIPT = `window.Stripe = key => {
  let isDeclined = true;
  return {
    elements: ({ clientSecret }) => ({ create: () => ({ mount: place => {
      const field = document.createElement("input");
      field.ariaLabel = "Card number";
      place.append(field);
      Object.assign(window, { given: { key, clientSecret } });
    } }) }),
    confirmSetup: async () => {
      if (!isDeclined) return {};
      isDeclined = false;
      return { error: { message: "Your card was declined." } };
    },
    retrievePaymentIntent: async () => ({
      paymentIntent: { status: "requires_payment_method", last_payment_error: { payment_method: { id: "pm_1" } } },
    }),
    confirmCardPayment: async (secret, { payment_method }) => {
      if (isDeclined) return (isDeclined = false), { error: { message: "Your bank did not confirm it." } };
      await fetch("https://api.stripe.com/confirm?" + new URLSearchParams({ secret, payment_method }));
      return {};
    },
  };
};`;

let browser, service, stripe;
before(async () => {
  stripe = await startStripe();
  const settings = { PORTTASK_STRIPE_KEY: "sk_test_1", PORTTASK_STRIPE_PUBLISHABLE_KEY: "pk_test_1", PORTTASK_STRIPE_URL: stripe.url };
  [browser, service] = await Promise.all([launch(), startWithUsers([], settings)]);
});
after(() => Promise.all([browser?.close(), service?.stop(), stripe?.stop()]));

test("a card is entered with Stripe, and its number does not reach this service", async () => {
  const page = await open(browser, service, WIDE);
  await page.route("https://js.stripe.com/**", route => route.fulfill({ contentType: "text/javascript", body: SCRIPT }));
  await signIn(page, service.bob);
  await page.goto("/settings/billing/payment-methods");
  await page.getByRole("link", { name: "Add card" }).click();
  await page.getByLabel("Card number").fill("4242 4242 4242 4242");
  assert.deepEqual(await page.evaluate(() => window.given), { key: "pk_test_1", clientSecret: SECRET });
  assert.deepEqual(await violations(page), []);
  assert.equal(await overflows(page), false);
  await page.getByRole("button", { name: "Add card" }).click();
  await page.getByText("Your card was declined.").waitFor();
  await page.getByRole("button", { name: "Add card" }).click();
  await toast(page).getByText("The payment method is added.").waitFor();
  await page.getByText("visa ending in 4242").waitFor();
  assertQuiet(page, /request to another host: https:\/\/js\.stripe\.com\/v3\//);
});

test("without the script of Stripe, the page says what to do", async () => {
  const page = await open(browser, service, WIDE);
  await page.route("https://js.stripe.com/**", route => route.abort());
  await signIn(page, service.bob);
  await page.goto("/settings/billing/payment-methods/new");
  await page.getByText("Stripe could not be reached.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Add card" }).isDisabled(), true);
});

test("what a bank asks about is confirmed by the payer, with what only the payer gets", async () => {
  const { api, admin, staff, organization } = service;
  const address = { street: ["Am Sandtorkai 30"], postcode: "20457", city: "Hamburg", country: "DE" };
  const patch = { "content-type": "application/merge-patch+json" };
  await api("PATCH", "/platform/billing/seller", {
    legal_name: "PortTask GmbH", address, vat_id: "DE123456788", zone: "Europe/Berlin", accounting_currency: "EUR",
  }, staff, patch);
  await api("PATCH", "/organizations/current/billing/account", { legal_name: "Nordsee Ports GmbH", address, vat_id: "DE136695976" }, admin, patch);
  const invoices = `/organizations/${organization}/billing/invoices`;
  const line = { description: "Training", quantity: 2, unit_price: "450.00", from: "2026-11-02", until: "2026-11-04" };
  const { id } = await api("POST", invoices, { currency: "EUR", lines: [line] }, staff);
  await api("POST", `${invoices}/${id}/issue`, {}, staff, { "idempotency-key": "issue" });
  const asked = "/organizations/current/billing/payments?status=action_required";
  await until("the question of the bank", async () => (await api("GET", asked, undefined, admin)).items.length === 1);

  const page = await open(browser, service, WIDE), asks = [];
  await page.route("https://js.stripe.com/**", route => route.fulfill({ contentType: "text/javascript", body: SCRIPT }));
  await page.route("https://api.stripe.com/**", route => {
    asks.push(Object.fromEntries(new URL(route.request().url()).searchParams));
    stripe.confirm();
    return route.fulfill({ json: {}, headers: { "access-control-allow-origin": "*" } });
  });
  await signIn(page, service.bob);
  await page.goto(`/settings/billing/invoices/${id}`);
  await page.getByRole("link", { name: "Confirm the payment" }).click();
  const button = page.getByRole("button", { name: "Confirm payment" });
  await button.and(page.locator(":enabled")).waitFor();
  assert.equal((await page.content()).includes(CHARGE_SECRET), false);
  assert.deepEqual(await violations(page), []);
  assert.equal(await overflows(page), false);
  await button.click();
  await page.getByText("Your bank did not confirm it.").waitFor();
  await button.click();
  await toast(page).getByText("Paid.").waitFor();
  assert.deepEqual(asks, [{ secret: CHARGE_SECRET, payment_method: "pm_1" }]);
  assert.equal((await api("GET", `${invoices}/${id}`, undefined, admin)).due, 0);
  assertQuiet(page, /request to another host: https:\/\/(js|api)\.stripe\.com\//);
});
