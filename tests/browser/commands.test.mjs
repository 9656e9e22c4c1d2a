// Commands: preview, confirmation, undo, conflicts; acting as somebody; files.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { assertQuiet, choose, dialog, launch, open, row, signIn, toast } from "./browser.mjs";
import { startWithUsers } from "./service.mjs";

let browser, service;
before(async () => [browser, service] = await Promise.all([launch(), startWithUsers()]));
after(() => Promise.all([browser?.close(), service?.stop()]));

/** The users' list, as the admin sees it. */
const users = async () => {
  const page = await open(browser, service);
  await signIn(page, service.bob);
  assert.equal(new URL(page.url()).pathname, "/settings/users");
  return page;
};

/** The effect that the dialog shows. */
const effect = page => dialog(page).locator(".effect");

test("a role change shows its effect when a role is chosen, and can be undone", async () => {
  const page = await users();
  await choose(page, "Cleo Tanaka", "Change role and permissions…");
  await dialog(page).getByRole("heading", { name: "Change role of Cleo Tanaka" }).waitFor();
  assert.equal(await effect(page).count(), 0);

  await dialog(page).getByLabel("Auditor").check();
  await effect(page).getByText("Role: Agent → Auditor").waitFor();
  await effect(page).getByText(/^Gains: .*audit log/).waitFor();
  assert.ok(await dialog(page).getByLabel("Auditor").evaluate(it => it === document.activeElement), "the focus stays");
  await dialog(page).getByLabel("Read-only").check();
  await effect(page).getByText("Role: Agent → Read-only").waitFor();
  assert.equal((await service.api("GET", user("Cleo"), undefined, service.admin)).role, "agent", "nothing is changed yet");

  await dialog(page).getByRole("button", { name: "Change role" }).click();
  await toast(page).getByText("The role of Cleo Tanaka is changed.").waitFor();
  assert.equal((await service.api("GET", user("Cleo"), undefined, service.admin)).role, "read_only");

  await toast(page).getByRole("button", { name: "Undo" }).click();
  await toast(page).getByText("Undone.").waitFor();
  assert.equal((await service.api("GET", user("Cleo"), undefined, service.admin)).role, "agent");
  assertQuiet(page);
});

test("a command that would be refused says so when it is chosen", async () => {
  const page = await users();
  await choose(page, "Bob Fisher", "Change role and permissions…");
  await dialog(page).getByLabel("Auditor").check();
  await dialog(page).locator("#effect .note.bad").getByText(/admin/).waitFor();
  assertQuiet(page);
});

test("of two admins, the second learns what the first has changed, and applies theirs on top", async () => {
  const page = await users();
  await choose(page, "Dana Petrova", "Change role and permissions…");
  await dialog(page).getByLabel("Auditor").check();
  await effect(page).getByText("Role: Read-only → Auditor").waitFor();
  await service.api("PATCH", user("Dana"), { role: "agent" }, service.admin);

  const confirm = dialog(page).getByRole("button", { name: "Change role" });
  await confirm.click();
  const note = dialog(page).locator(".note.warn");
  await note.getByText("Somebody else changed this in the meantime").waitFor();
  assert.match(await note.textContent(), /Bob Fisher.*role/);
  assert.ok(await note.evaluate(it => it === document.activeElement), "the note has the focus");
  assert.ok(await dialog(page).getByLabel("Auditor").isChecked(), "what was chosen is kept");
  assert.equal((await service.api("GET", user("Dana"), undefined, service.admin)).role, "agent", "nothing is overwritten");

  await confirm.click();
  await toast(page).getByText("The role of Dana Petrova is changed.").waitFor();
  assert.equal((await service.api("GET", user("Dana"), undefined, service.admin)).role, "auditor");
  assertQuiet(page, /console: error: Failed to load resource: .*412/);
});

test("staff acts as a user, sees so on every page, and ends it", async () => {
  const page = await open(browser, service);
  await signIn(page, service.ana);
  await page.goto(`/admin/organizations/${service.organization}/users`);
  await choose(page, "Bob Fisher", "Impersonate…");
  await dialog(page).getByLabel("Reason").fill("TICKET-42");
  await dialog(page).getByRole("button", { name: "Impersonate" }).click();
  const band = page.getByRole("region", { name: "Impersonation" });
  await band.getByText("You act as Bob Fisher, Nordsee Ship Agency.").waitFor();
  for (const address of ["/settings/general", "/me", "/help"]) {
    await page.goto(address);
    await band.waitFor();
  }
  await band.getByRole("button", { name: "End" }).click();
  await page.waitForURL("**/admin/users");
  await band.waitFor({ state: "detached" });
  await page.goto("/me");
  await page.getByText(service.ana).first().waitFor();
  assertQuiet(page);
});

test("exports download files", async () => {
  const page = await users();
  const list = page.waitForEvent("download");
  await page.getByRole("link", { name: "Export" }).click();
  assert.match(await content(list, "users.csv"), /cleo\.tanaka@nordsee\.example/);

  await page.goto("/settings/audit-log");
  await page.getByRole("link", { name: "Export…" }).click();
  const log = page.waitForEvent("download");
  await dialog(page).getByRole("button", { name: "Export" }).click();
  assert.match(await content(log, "audit-log.csv"), /user\.invited/);
  await dialog(page).waitFor({ state: "detached" });
  assertQuiet(page);
});

const content = async (event, name) => {
  const download = await event;
  assert.equal(download.suggestedFilename(), name);
  return readFile(await download.path(), "utf8");
};

const user = name => `/organizations/current/users/${service.users[name].id}`;
