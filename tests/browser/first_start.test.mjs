// From the first start to the first invited user, with nothing but a browser and the folder of emails.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertQuiet, launch, open, toast } from "./browser.mjs";
import { linkIn, PASSWORD, start } from "./service.mjs";

let browser, service;
before(async () => [browser, service] = await Promise.all([launch(), start()]));
after(() => Promise.all([browser?.close(), service?.stop()]));

test("a first start leads to an invited user who has accepted", async () => {
  const page = await open(browser, service);
  await page.goto("/");
  await page.waitForURL("**/sign-in");

  await page.goto(service.setupLink);
  await page.getByLabel("Your name").fill("Ana Souza");
  assert.equal(new URL(page.url()).hash, "", "the token is out of the address bar");
  const folder = `${service.folder}/mail`;
  await page.getByText("emails stay in").filter({ hasText: folder }).waitFor();
  await page.getByText("Keep the master key").waitFor();
  await page.getByLabel("Your email address").fill("ana@platform.example");
  await page.getByLabel("New password").fill(PASSWORD);
  await page.locator("button[name=step]").click();
  await page.waitForURL("**/admin/organizations");

  await page.getByRole("link", { name: "New organization" }).first().click();
  const dialog = page.locator("#sheet");
  await dialog.getByLabel("Name", { exact: true }).fill("Nordsee Ship Agency");
  await dialog.getByLabel("Domain").fill("nordsee.example");
  await page.getByLabel("First admin").fill("Bob Fisher");
  await page.getByLabel("Their email address").fill("bob@nordsee.example");
  await dialog.locator("button[type=submit]").last().click();
  await toast(page).getByText("Nordsee Ship Agency").waitFor();
  assertQuiet(page);

  const admin = await open(browser, service);
  await accept(admin, "bob@nordsee.example");
  await admin.waitForURL("**/settings/users");
  await admin.getByRole("link", { name: "Add user" }).first().click();
  await admin.getByLabel("Full name").fill("Cleo Tanaka");
  await admin.locator("#sheet").getByLabel("Email address").fill("cleo@nordsee.example");
  await admin.getByRole("button", { name: "Invite" }).click();
  await toast(admin).getByText("Cleo Tanaka is invited.").waitFor();
  const note = admin.locator(".note", { hasText: "Emails stay on the server" });
  assert.match(await note.textContent(), new RegExp(`${folder}.*porttask mail last --to cleo@nordsee\\.example`));
  assertQuiet(admin);

  const user = await open(browser, service);
  await accept(user, "cleo@nordsee.example");
  await user.waitForURL("**/operations/port-calls");
  await user.getByRole("heading", { level: 1, name: "Port calls" }).waitFor();
  assertQuiet(user);

  await admin.reload();
  await admin.getByText("Active", { exact: true }).first().waitFor();
  await note.waitFor({ state: "detached" });
});

/** Opens the link of an invitation, and chooses a password. */
const accept = async (page, email) => {
  await page.goto(linkIn(await service.mail(email)));
  await page.getByText("Nordsee Ship Agency").waitFor();
  await page.getByLabel("New password").fill(PASSWORD);
  await page.locator("button[name=step]").click();
};
