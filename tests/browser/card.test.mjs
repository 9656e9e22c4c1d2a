// A card is entered into the form of Stripe: beside a stand-in for its API and its script, which are not of this host.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { assertQuiet, launch, open, overflows, signIn, toast, violations, WIDE } from "./browser.mjs";
import { startWithUsers } from "./service.mjs";

const SECRET = "seti_1_secret_of_the_payer";
const CARD = { id: "pm_1", type: "card", card: { brand: "visa", last4: "4242", exp_year: 2030, exp_month: 4, fingerprint: "f" } };

/** Answers what the service asks of Stripe. */
const startStripe = async () => {
  let setup;
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
    };
    const answer = answers[`${request.method} ${request.url}`]?.();
    response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { error: { message: "unknown" } }));
  });
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
};

/** Stands for the script of Stripe: a form with a field, which is declined first. */
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
