// Every page of the console, once: for strangers, for the platform's staff, and for an admin of an organization. A new page
// is entered here; pages_check.mjs fails if a link leads to one that is not.

/** Dialogs are pages, too: `from` is the page with the link that opens it as a dialog. */
const dialog = (path, from) => ({ path, from });
const failure = (path, status) => ({ path, status });

/** The pages of an organization's settings, which exist twice: for its admins, and for staff. */
const settings = base => [
  { path: `${base}/general` },
  { path: `${base}/users` },
  { path: `${base}/users?q=nobody` },
  { path: `${base}/users?peek={dana}` },
  { path: `${base}/users/{cleo}` },
  { path: `${base}/users/{dana}` },
  { path: `${base}/users/{emile}` },
  dialog(`${base}/users/invite`, `${base}/users`),
  dialog(`${base}/users/invite-several`, `${base}/users`),
  dialog(`${base}/users/{cleo}/role`, `${base}/users`),
  dialog(`${base}/users/{cleo}/edit`, `${base}/users/{cleo}`),
  dialog(`${base}/users/{cleo}/invite`, `${base}/users/{cleo}`),
  dialog(`${base}/users/{cleo}/revoke-invitation`, `${base}/users/{cleo}`),
  dialog(`${base}/users/{cleo}/remove`, `${base}/users/{cleo}`),
  dialog(`${base}/users/{dana}/reset-password`, `${base}/users/{dana}`),
  dialog(`${base}/users/{dana}/deactivate`, `${base}/users/{dana}`),
  dialog(`${base}/users/{dana}/sessions/end`, `${base}/users/{dana}`),
  dialog(`${base}/users/{emile}/reactivate`, `${base}/users/{emile}`),
  { path: `${base}/users/import` },
  { path: `${base}/users/import/{job}` },
  { path: `${base}/audit-log` },
  { path: `${base}/audit-log?action=vendor&target={cleo}` },
  dialog(`${base}/audit-log/export`, `${base}/audit-log`),
  { path: `${base}/billing` },
  dialog(`${base}/billing/change`, `${base}/billing`),
  dialog(`${base}/billing/withdraw-change`, `${base}/billing`),
  dialog(`${base}/billing/redeem`, `${base}/billing`),
  { path: `${base}/billing/payment-methods` },
  dialog(`${base}/billing/payment-methods/new`, `${base}/billing/payment-methods`),
  dialog(`${base}/billing/payment-methods/{method}/make-default`, `${base}/billing/payment-methods`),
  dialog(`${base}/billing/payment-methods/{method}/remove`, `${base}/billing/payment-methods`),
  { path: `${base}/billing/payments` },
  { path: `${base}/billing/payments/{unconfirmed}/confirm` },
  { path: `${base}/billing/invoices` },
  { path: `${base}/billing/invoices/{invoice}` },
  { path: `${base}/billing/invoices/{asked}` },
  { path: `${base}/billing/invoices/{invoice}/recalculation` },
  dialog(`${base}/billing/invoices/{invoice}/pay`, `${base}/billing/invoices/{invoice}`),
  { path: `${base}/billing/credit-notes` },
  { path: `${base}/billing/credit-notes/{note}` },
  { path: `${base}/billing/account` },
  dialog(`${base}/billing/account/check-tax-id`, `${base}/billing/account`),
  dialog(`${base}/billing/account/request-invoice-billing`, `${base}/billing/account`),
  { path: `${base}/usage` },
  { path: `${base}/tickets` },
  { path: `${base}/tickets/{ticket}` },
  dialog(`${base}/tickets/new`, `${base}/tickets`),
  dialog(`${base}/tickets/{ticket}/resolve`, `${base}/tickets/{ticket}`),
];

/** The pages about the reader. */
const own = [
  { path: "/me" },
  dialog("/me/password", "/me"),
  dialog("/me/address", "/me"),
  dialog("/me/sessions/end", "/me"),
  { path: "/help" },
  { path: "/search" },
  { path: "/search?q=no+such+page" },
  failure("/no-such-page", 404),
];

const organization = "/admin/organizations/{org}";

export const PAGES = {
  stranger: [
    { path: "/sign-in" },
    { path: "/forgot-password" },
    { path: "/setup" },
    { path: "/invitation" },
    { path: "/password-reset" },
    { path: "/address-change" },
    { path: "/address-change-cancellation" },
    { path: "/vendor-response" },
    { path: "/invitation#token={token}" },
    // With a script, the token is submitted at once.
    { path: "/invitation#token={used_token}", submitted: 410 },
  ],
  staff: [
    { path: "/admin/organizations" },
    dialog("/admin/organizations/new", "/admin/organizations"),
    { path: organization },
    dialog(`${organization}/suspend`, organization),
    dialog(`${organization}/deactivate`, organization),
    dialog(`${organization}/invitation-quota`, organization),
    // As dialogs, they are checked for admins.
    ...settings(organization).map(({ path }) => ({ path })),
    dialog(`${organization}/users/{dana}/impersonate`, `${organization}/users/{dana}`),
    { path: `${organization}/integrations` },
    dialog(`${organization}/integrations/{key}/revoke`, `${organization}/integrations`),
    { path: "/admin/users" },
    { path: "/admin/tickets" },
    dialog(`${organization}/tickets/{ticket}/assign`, `${organization}/tickets/{ticket}`),
    dialog(`${organization}/tickets/{ticket}/note`, `${organization}/tickets/{ticket}`),
    { path: "/admin/super-admins" },
    dialog("/admin/super-admins/promote", "/admin/super-admins"),
    dialog("/admin/super-admins/{carl}/demote", "/admin/super-admins"),
    { path: "/admin/audit-log" },
    dialog("/admin/audit-log/export", "/admin/audit-log"),
    { path: "/admin/system" },
    dialog(`${organization}/billing/extend-trial`, `${organization}/billing`),
    dialog(`${organization}/billing/add-discount`, `${organization}/billing`),
    dialog(`${organization}/billing/change-zone`, `${organization}/billing`),
    dialog(`${organization}/billing/end`, `${organization}/billing`),
    dialog(`${organization}/billing/discounts/{discount}/remove`, `${organization}/billing`),
    { path: "/admin/revenue" },
    { path: "/admin/subscriptions" },
    { path: "/admin/payments" },
    { path: "/admin/invoices" },
    { path: "/admin/credit-notes" },
    { path: "/admin/receivables" },
    { path: "/admin/tax-report" },
    dialog(`${organization}/billing/invoices/new`, `${organization}/billing/invoices`),
    { path: `${organization}/billing/invoices/{drafted}` },
    dialog(`${organization}/billing/invoices/{drafted}/edit`, `${organization}/billing/invoices/{drafted}`),
    dialog(`${organization}/billing/invoices/{drafted}/issue`, `${organization}/billing/invoices/{drafted}`),
    dialog(`${organization}/billing/invoices/{drafted}/discard`, `${organization}/billing/invoices/{drafted}`),
    dialog(`${organization}/billing/invoices/{invoice}/mark-paid`, `${organization}/billing/invoices/{invoice}`),
    dialog(`${organization}/billing/invoices/{invoice}/credit`, `${organization}/billing/invoices/{invoice}`),
    dialog(`${organization}/billing/invoices/{invoice}/correct`, `${organization}/billing/invoices/{invoice}`),
    dialog(`${organization}/billing/invoices/{invoice}/void`, `${organization}/billing/invoices/{invoice}`),
    { path: `${organization}/billing/invoices/{invoice}/mark-uncollectible` },
    { path: "/admin/usage" },
    { path: "/admin/plans" },
    dialog("/admin/plans/new", "/admin/plans"),
    { path: "/admin/plans/{plan}" },
    dialog("/admin/plans/{plan}/version", "/admin/plans/{plan}"),
    dialog("/admin/plans/{plan}/edit", "/admin/plans/{plan}"),
    dialog("/admin/plans/{plan}/retire", "/admin/plans/{plan}"),
    dialog("/admin/plans/{plan}/migrate", "/admin/plans/{plan}"),
    { path: "/admin/coupons" },
    dialog("/admin/coupons/new", "/admin/coupons"),
    dialog("/admin/coupons/{coupon}/retire", "/admin/coupons"),
    dialog(`${organization}/billing/account/collection`, `${organization}/billing/account`),
    dialog(`${organization}/billing/account/grant-balance`, `${organization}/billing/account`),
    { path: "/admin/seller" },
    dialog("/admin/seller/add-registration", "/admin/seller"),
    dialog("/admin/seller/remove-registration", "/admin/seller"),
    dialog("/admin/seller/tax-rates", "/admin/seller"),
    dialog("/admin/seller/exchange-rates", "/admin/seller"),
    dialog("/admin/seller/logo", "/admin/seller"),
    dialog("/admin/seller/remove-logo", "/admin/seller"),
    { path: "/admin/seller/series" },
    dialog("/admin/seller/series/{series}/continue", "/admin/seller/series"),
    { path: "/admin/licences" },
    { path: "/admin/licence-signing-keys" },
    dialog("/admin/licence-signing-keys/new", "/admin/licence-signing-keys"),
    // A key is published for seven days before it signs.
    { path: "/admin/licence-signing-keys/{signing_key}/activate", status: 409 },
    dialog("/admin/licence-signing-keys/{signing_key}/retire", "/admin/licence-signing-keys"),
    { path: `${organization}/billing/licences` },
    dialog(`${organization}/billing/licences/new`, `${organization}/billing/licences`),
    { path: `${organization}/billing/licences/{licence}` },
    dialog(`${organization}/billing/licences/{licence}/activations/{activation}/remove`, `${organization}/billing/licences/{licence}`),
    dialog(`${organization}/billing/payments/{payment}/reverse`, `${organization}/billing/payments`),
    dialog(`${organization}/billing/licences/{licence}/revoke`, `${organization}/billing/licences/{licence}`),
    dialog(`${organization}/billing/licences/{licence}/replace`, `${organization}/billing/licences/{licence}`),
    { path: "/settings/integrations" },
    dialog("/settings/integrations/new", "/settings/integrations"),
    ...own,
  ],
  admin: [
    ...settings("/settings"),
    { path: "/settings/integrations" },
    dialog("/settings/integrations/new", "/settings/integrations"),
    dialog("/settings/integrations/{key}/rotate", "/settings/integrations"),
    dialog("/settings/integrations/{key}/revoke", "/settings/integrations"),
    dialog("/settings/tickets/{ticket}/escalate", "/settings/tickets/{ticket}"),
    { path: "/settings/billing/licences" },
    { path: "/settings/billing/licences/{licence}" },
    dialog("/settings/billing/licences/{licence}/activations/{activation}/remove", "/settings/billing/licences/{licence}"),
    { path: "/operations/port-calls" },
    { path: "/operations/port-calls/new" },
    { path: "/operations/port-calls/import" },
    { path: "/operations/port-calls/{call}" },
    { path: "/operations/port-calls/{call}/edit" },
    dialog("/operations/port-calls/{call}/status", "/operations/port-calls/{call}"),
    dialog("/operations/port-calls/{call}/revert-status", "/operations/port-calls/{call}"),
    dialog("/operations/port-calls/{call}/cancel", "/operations/port-calls/{call}"),
    dialog("/operations/port-calls/{call}/delete", "/operations/port-calls/{call}"),
    dialog("/operations/port-calls/{canceled}/reopen", "/operations/port-calls/{canceled}"),
    { path: "/operations/documents" },
    dialog("/operations/documents/new", "/operations/documents"),
    { path: "/operations/port-calls/{call}/order" },
    { path: "/operations/service-orders" },
    { path: "/operations/service-orders/{order}" },
    { path: "/operations/service-orders/{order}/edit" },
    dialog("/operations/service-orders/{draft}/assign", "/operations/service-orders/{draft}"),
    dialog("/operations/service-orders/{order}/ask-again", "/operations/service-orders/{order}"),
    dialog("/operations/service-orders/{order}/answer", "/operations/service-orders/{order}"),
    dialog("/operations/service-orders/{accepted}/start", "/operations/service-orders/{accepted}"),
    dialog("/operations/service-orders/{order}/cancel", "/operations/service-orders/{order}"),
    { path: "/operations/vendors" },
    dialog("/operations/vendors/new", "/operations/vendors"),
    { path: "/operations/vendors/{vendor}" },
    // A page that is a dialog itself opens none.
    { path: "/operations/vendors/{vendor}/archive" },
    failure("/admin/organizations", 403),
    ...own,
  ],
};

/** Makes something to see on each page, and returns what stands for the names in their addresses. */
export const furnish = async service => {
  const { api, admin, staff, users, organization, ana, bob } = service;
  const own = "/organizations/current", { Cleo: cleo, Dana: dana, Émile: emile } = users;
  for (const { email } of [dana, emile]) await service.accept(email);
  await api("POST", `${own}/users/${emile.id}/deactivate`, {}, admin);
  const vendor = await api("POST", `${own}/vendors`, {
    name: "Svitzer Santos", services: ["towage", "mooring"], order_email: "orders@svitzer.example",
    contacts: [{ name: "Rui Alves", email: "rui@svitzer.example" }],
  }, admin);
  const ticket = await api("POST", `${own}/tickets`, {
    kind: "billing", subject: "No invoice since May", text: "The last one is of April.\nWhere are the others?",
  }, admin);
  const port_call = async () => (await api("POST", `${own}/port-calls`, {
    port: { unlocode: "BRSSZ" }, vessel: "MSC Anna", imo: "9074729", voyage: "NX648R",
    eta: "2026-12-03T08:30", etd: "2026-12-04T18:00",
  }, admin)).id;
  const [call, canceled] = [await port_call(), await port_call()];
  await api("POST", `${own}/port-calls/${call}/status`, { status: "confirmed", remark: "berth 3" }, admin);
  await api("POST", `${own}/port-calls/${canceled}/cancel`, {}, admin);
  const service_order = async () => (await api("POST", `${own}/service-orders`, {
    port_call: call, service: "towage", details: "Two tugs for berthing", requested_at: "2026-12-03T08:30",
  }, admin)).id;
  const [draft, order, accepted] = [await service_order(), await service_order(), await service_order()];
  for (const id of [order, accepted]) {
    await api("POST", `${own}/service-orders/${id}/assign`, { vendor: vendor.id }, admin);
  }
  await api("POST", `${own}/service-orders/${accepted}/answer`, { answer: "accepted" }, admin);
  const key = await api("POST", `${own}/api-keys`, { name: "harbour robot" }, admin);
  await api("POST", `${own}/api-keys`, { name: "metrics of all organizations", scopes: ["organizations:read"] }, staff);
  for (const [name, domain] of [["Levant Port Services", "levant.example"], ["Tagus Agents", "tagus.example"]]) {
    await api("POST", "/organizations", { name, domain, first_admin: { name: "Rita Costa", email: `rita@${domain}` } }, staff);
  }
  const super_admin = await api("POST", "/platform/super-admins", { organization: "nordsee.example", user: bob }, staff);
  const job = await service.import("name,email,role\nFarid Aziz,farid@nordsee.example,agent\nNobody,no address,captain\n");
  const plan = (await api("GET", "/platform/billing/plans?q=professional", undefined, staff)).items[0].id;
  const coupon = await api("POST", "/platform/billing/coupons", {
    code: "WELCOME10", name: "Welcome", discount: { percent: "10", duration: "periods", periods: 3 },
  }, staff);
  await api("POST", `${own}/billing/subscription/discounts`, { code: "WELCOME10" }, admin);
  await api("POST", `${own}/billing/subscription/change`, { to: { plan, interval: "month", seats: 2 } }, admin, { "idempotency-key": "plan" });
  const discount = (await api("GET", `${own}/billing/subscription`, undefined, admin)).discounts[0].id;
  await api("POST", `${own}/billing/payment-methods`, { setup: "sim_ok" }, admin);
  const method = (await api("POST", `${own}/billing/payment-methods`, { setup: "sim_declined" }, admin)).payment_method;
  const keys = "/platform/billing/licence-signing-keys", licences = `/organizations/${organization}/billing/licences`;
  const signing_key = (await api("POST", keys, {}, staff)).id;
  await api("POST", `${keys}/${signing_key}/activate`, {}, staff);
  const published = (await api("POST", keys, {}, staff)).id;
  const licence = (await api("POST", licences, {
    kind: "partner", expires_at: "2035-01-01", activations: 3, reseller: "Harbour IT",
  }, staff, { "idempotency-key": "licence" })).id;
  const licensed = await api("GET", `${licences}/${licence}`, undefined, staff);
  await api("POST", "/licences/activate", { token: licensed.token, machine: "96cmbfi0IHk9UbklYZVdsoeSzgBXBZPUfUTZVBibNoU" });
  let activation;
  while (!activation) activation = (await api("GET", `${licences}/${licence}`, undefined, staff)).activations[0]?.id;
  const address = { street: ["Am Sandtorkai 30"], postcode: "20457", city: "Hamburg", country: "DE" };
  await api("PATCH", "/platform/billing/seller", {
    legal_name: "PortTask GmbH", address, vat_id: "DE123456788", zone: "Europe/Berlin", accounting_currency: "EUR",
  }, staff, { "content-type": "application/merge-patch+json" });
  await api("PATCH", `${own}/billing/account`, { legal_name: "Nordsee Ports GmbH", address, vat_id: "DE136695976" }, admin, { "content-type": "application/merge-patch+json" });
  const invoices = `/organizations/${organization}/billing/invoices`;
  const bill = async () => (await api("POST", invoices, { currency: "EUR", lines: [
    { description: "Training", quantity: 2, unit_price: "450.00", from: "2026-11-02", until: "2026-11-04" },
  ] }, staff)).id;
  const [charged, drafted, invoice, credited] = [await bill(), await bill(), await bill(), await bill()];
  const issue = async id => await api("POST", `${invoices}/${id}/issue`, {}, staff, { "idempotency-key": `issue-${id}` });
  await issue(charged);
  let payment;
  while (!payment) payment = (await api("GET", `${invoices}/${charged}`, undefined, staff)).payments[0]?.payment;
  await api("POST", `/organizations/${organization}/billing/account/collection`, { kind: "invoice", days: 30 }, staff);
  await issue(invoice);
  await issue(credited);
  await api("POST", `/organizations/${organization}/billing/account/collection`, { kind: "automatic" }, staff);
  await api("POST", `${invoices}/${credited}/credit`, { lines: [{ line: 1, net: 1000 }], reason: "goodwill" }, staff, { "idempotency-key": "credit" });
  const note = (await api("GET", `${invoices}/${credited}`, undefined, staff)).credit_notes[0];
  // A bank asks for a confirmation of what is charged on issue.
  const methods = `${own}/billing/payment-methods`, make_default = async id => api("POST", `${methods}/${id}/make-default`, {}, admin);
  const former = (await api("GET", methods, undefined, admin)).items.find(it => it.is_default).id;
  await make_default((await api("POST", methods, { setup: "sim_action" }, admin)).payment_method);
  const asked = await bill();
  await issue(asked);
  let unconfirmed;
  while (!unconfirmed) unconfirmed = (await api("GET", `${own}/billing/payments?status=action_required`, undefined, admin)).items[0]?.id;
  await make_default(former);
  const series = (await api("GET", "/platform/billing/seller/series", undefined, staff)).items[0].id;
  await api("POST", "/platform/billing/seller/registrations", { country: "CH", scheme: "local", vat_id: "CHE-107.787.577 IVA", from: "2026-01-01" }, staff);
  const headers = { authorization: `Bearer ${staff}`, "content-type": "application/octet-stream" };
  const logo = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';
  await fetch(`${service.url}/v1/platform/billing/seller/logo`, { method: "POST", headers, body: logo });
  const token = async email => /token=(\S+)/.exec((await service.mail(email)).text)[1];
  return {
    org: organization, cleo: cleo.id, dana: dana.id, emile: emile.id, carl: super_admin.id, vendor: vendor.id, call, canceled, draft, order, accepted, ticket: ticket.id, plan, coupon: coupon.id, discount, method, drafted, invoice, asked, note, payment, unconfirmed, series, licence, activation, signing_key: published, key: key.id, job,
    token: await token(cleo.email), used_token: await token(dana.email),
  };
};

/** The address of a page. */
export const address = (path, names) => path.replace(/\{(\w+)\}/g, (_, name) => names[name]);

/** The page of an address, whatever its ids and filters are. */
export const pattern = path => path.replace(/[?#].*/, "").replace(/\{\w+\}|\b[a-z]{3,4}_[0-9a-z]{26}\b/g, "…");

/** A short name of a page, for files. */
export const slug = path => path.replace(/#token=\{(\w+)\}/, "-$1").replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "") || "start";
