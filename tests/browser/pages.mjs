// Every page of the console, once: for strangers, for the platform's staff, and for an admin of an organization. A new page
// is entered here; pages.test.mjs fails if a link leads to one that is not.

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
  const token = async email => /token=(\S+)/.exec((await service.mail(email)).text)[1];
  return {
    org: organization, cleo: cleo.id, dana: dana.id, emile: emile.id, carl: super_admin.id, vendor: vendor.id, call, canceled, draft, order, accepted, ticket: ticket.id, key: key.id, job,
    token: await token(cleo.email), used_token: await token(dana.email),
  };
};

/** The address of a page. */
export const address = (path, names) => path.replace(/\{(\w+)\}/g, (_, name) => names[name]);

/** The page of an address, whatever its ids and filters are. */
export const pattern = path => path.replace(/[?#].*/, "").replace(/\{\w+\}|\b[a-z]{3,4}_[0-9a-z]{26}\b/g, "…");

/** A short name of a page, for files. */
export const slug = path => path.replace(/#token=\{(\w+)\}/, "-$1").replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "") || "start";
