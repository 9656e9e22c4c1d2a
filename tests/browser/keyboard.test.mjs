// Everything below is done without a pointer.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertQuiet, dialog, launch, open } from "./browser.mjs";
import { PASSWORD, startWithUsers } from "./service.mjs";

let browser, service;
before(async () => [browser, service] = await Promise.all([launch(), startWithUsers()]));
after(() => Promise.all([browser?.close(), service?.stop()]));

/** The text or label of what has the focus. */
const focus = page => page.evaluate(() => {
  const it = document.activeElement;
  return it.getAttribute("aria-label") ?? it.labels?.[0]?.textContent.trim() ?? it.textContent.trim();
});
/** Presses Tab until something has the focus. */
const tabTo = async (page, wanted) => {
  const seen = [];
  for (let count = 0; count < 80; count++) {
    const now = await focus(page);
    if (now === wanted) return;
    seen.push(now);
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not lead to “${wanted}”, but to ${seen.join(" | ")}`);
};
const waitForFocus = (page, selector) => page.waitForFunction(selector => document.activeElement?.matches(selector), selector);

test("a user is found, opened and dismissed by keyboard alone", async () => {
  const page = await open(browser, service), { keyboard } = page;
  await page.goto("/sign-in");
  await tabTo(page, "Email address");
  await keyboard.type(service.bob);
  await tabTo(page, "Password");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await page.waitForURL("**/settings/users");

  await keyboard.press("Tab");
  assert.equal(await focus(page), "Skip to content");
  await keyboard.press("Enter");
  await waitForFocus(page, "#main");
  await keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("main")), "the next stop is in the content");

  await keyboard.press("/");
  await waitForFocus(page, "#q");
  await keyboard.type("cleo");
  await page.waitForURL("**/settings/users?q=cleo");
  await page.getByRole("row", { name: "Dana Petrova" }).waitFor({ state: "detached" });
  await waitForFocus(page, "#q");

  await tabTo(page, "Actions for Cleo Tanaka");
  await keyboard.press("Enter");
  await page.locator("[popover]:popover-open").waitFor();
  await tabTo(page, "Change role and permissions…");
  await keyboard.press("Enter");
  await dialog(page).getByRole("heading", { name: "Change role of Cleo Tanaka" }).waitFor();
  await waitForFocus(page, "#sheet input[type=radio]:checked");
  await keyboard.press("ArrowDown");
  await dialog(page).locator(".effect").getByText("Role: Agent → Read-only").waitFor();
  await keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await focus(page), "Actions for Cleo Tanaka", "Escape returns the focus to what opened the dialog");

  assertQuiet(page);
});

test("a dialog that a button of the page opens returns the focus to it", async () => {
  const page = await signedIn(), { keyboard } = page;
  await tabTo(page, "Add user");
  await keyboard.press("Enter");
  await waitForFocus(page, "#sheet #f-name");
  await keyboard.press("Shift+Tab");
  await keyboard.press("Shift+Tab");
  assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("#sheet")),
    "the focus does not reach the page below");
  await keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await focus(page), "Add user");
  assertQuiet(page);
});

test("the panel beside a list is opened with Enter and closed with Escape", async () => {
  const page = await signedIn(), { keyboard } = page;
  await tabTo(page, "Dana Petrova");
  await keyboard.press("Enter");
  await page.waitForURL(/peek=usr_/);
  await page.getByRole("complementary", { name: "Dana Petrova" }).waitFor();
  await keyboard.press("Escape");
  await page.waitForURL("**/settings/users");
  await page.getByRole("complementary", { name: "Dana Petrova" }).waitFor({ state: "detached" });
  assertQuiet(page);
});

test("the palette goes to a page by its name, or to a pasted id", async () => {
  const page = await signedIn(), { keyboard } = page;
  await keyboard.press("Control+k");
  await waitForFocus(page, "#palette-q");
  await keyboard.type("audit");
  await page.locator("#palette li").filter({ hasText: "General" }).waitFor({ state: "hidden" });
  await keyboard.press("ArrowDown");
  assert.match(await focus(page), /^Audit log/);
  await keyboard.press("ArrowUp");
  await waitForFocus(page, "#palette-q");
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  await page.waitForURL("**/settings/audit-log");

  await keyboard.press("Control+k");
  await waitForFocus(page, "#palette-q");
  await keyboard.press("Escape");
  await page.locator("#palette[open]").waitFor({ state: "detached" });
  await keyboard.press("Control+k");
  await keyboard.type(service.users.Cleo.id);
  await keyboard.press("Enter");
  await page.waitForURL(`**/settings/users/${service.users.Cleo.id}`);
  assertQuiet(page);
});

test("single letters lead to pages, until they are switched off", async () => {
  const page = await signedIn(), { keyboard } = page;
  await keyboard.press("g");
  await keyboard.press("a");
  await page.waitForURL("**/settings/audit-log");
  await keyboard.press("?");
  await page.waitForURL("**/help");
  await tabTo(page, "Shortcuts of single letters");
  await keyboard.press("Space");
  await page.goto("/settings/users");
  await page.locator("h1").waitFor();
  await keyboard.press("/");
  await keyboard.press("?");
  await keyboard.press("Control+k");
  await waitForFocus(page, "#palette-q");
  assert.equal(new URL(page.url()).pathname, "/settings/users");
  assertQuiet(page);
});

const signedIn = async () => {
  const page = await open(browser, service);
  await page.goto("/sign-in");
  await page.keyboard.press("Tab");
  await tabTo(page, "Email address");
  await page.keyboard.type(service.bob);
  await tabTo(page, "Password");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/users");
  return page;
};
