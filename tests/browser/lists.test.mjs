// Lists: filters in the address, and changes that others make meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertQuiet, launch, open, row, signIn } from "./browser.mjs";
import { startWithUsers, until } from "./service.mjs";

let browser, service;
before(async () => [browser, service] = await Promise.all([launch(), startWithUsers()]));
after(() => Promise.all([browser?.close(), service?.stop()]));

const users = async () => {
  const page = await open(browser, service);
  await signIn(page, service.bob);
  return page;
};

test("a filter keeps the focus while one types, is in the address, and Back removes it", async () => {
  const page = await users();
  const search = page.getByRole("searchbox", { name: "Name or email address" });
  await search.click();
  await search.pressSequentially("cleo", { delay: 120 });
  await page.waitForURL("**/settings/users?q=cleo");
  await row(page, "Dana Petrova").waitFor({ state: "detached" });
  await row(page, "Cleo Tanaka").waitFor();
  assert.equal(await search.inputValue(), "cleo");
  assert.ok(await search.evaluate(it => it === document.activeElement));
  await page.keyboard.type(" t");
  await page.waitForURL("**/settings/users?q=cleo+t");
  assert.equal(await search.inputValue(), "cleo t");

  await page.getByRole("combobox", { name: "Role" }).selectOption("Agent");
  await page.waitForURL(url => url.searchParams.get("role") === "agent" && url.searchParams.get("q") === "cleo t");
  await page.getByRole("link", { name: "Deactivated" }).click();
  await page.waitForURL(/status=deactivated/);
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("link", { name: "Clear filters" }).click();
  await page.waitForURL("**/settings/users");
  await row(page, "Dana Petrova").waitFor();

  await page.goBack();
  await page.getByText("Nothing matches").waitFor();
  await page.goBack();
  await page.waitForURL(url => url.searchParams.get("role") === "agent" && !url.searchParams.has("status"));
  await row(page, "Cleo Tanaka").waitFor();
  await page.reload();
  assert.equal(await page.getByRole("combobox", { name: "Role" }).inputValue(), "agent");
  assert.equal(await search.inputValue(), "cleo t");
  assertQuiet(page);
});

test("of two filters, the last one counts, whichever answer comes first", async () => {
  const page = await users();
  await page.route(/role=agent(?!.*status)/, async route => {
    await new Promise(resume => setTimeout(resume, 800));
    await route.continue().catch(() => {});
  });
  const tried = page.waitForRequest(/role=agent/);
  await page.getByRole("combobox", { name: "Role" }).selectOption("Agent");
  await tried;
  await page.getByRole("link", { name: "Deactivated" }).click();
  await page.getByText("Nothing matches").waitFor();
  await page.waitForTimeout(1200);
  assert.equal(new URL(page.url()).searchParams.get("status"), "deactivated");
  await page.getByText("Nothing matches").waitFor();
});

test("columns are sorted by their heads", async () => {
  const page = await users();
  const head = page.getByRole("columnheader", { name: "Person" });
  await head.getByRole("link").click();
  await page.waitForURL("**/settings/users?sort=name");
  assert.equal(await head.getAttribute("aria-sort"), "ascending");
  await head.getByRole("link").click();
  await page.waitForURL("**/settings/users?sort=-name");
  await page.locator("tbody tr").first().getByText("Émile Åström").waitFor();
  assertQuiet(page);
});

test("what others add is announced, and shown when it is asked for", async () => {
  const page = await users();
  const names = () => page.locator("tbody tr b").allTextContents();
  const before = await names(), link = page.getByRole("link", { name: "There are changes. Show them" });
  assert.equal(await link.count(), 0);
  const user = { name: "Farid Aziz", email: "farid.aziz@nordsee.example", role: "agent" };
  await service.api("POST", "/organizations/current/users", user, service.admin);
  await link.waitFor();
  assert.deepEqual(await names(), before, "the list does not move under the reader’s hand");
  await link.click();
  await row(page, "Farid Aziz").waitFor();
  await link.waitFor({ state: "detached" });
  assertQuiet(page);
});

test("the stream of changes is open in the tab that is seen only", async () => {
  const page = await open(browser, service);
  const streams = new Set(), isStream = request => new URL(request.url()).pathname === "/live";
  page.on("request", request => isStream(request) && streams.add(request));
  for (const type of ["requestfailed", "requestfinished"]) page.on(type, request => streams.delete(request));
  await signIn(page, service.bob);
  await until("a stream", () => streams.size === 1);
  // Chromium without a window never hides a tab by itself.
  const see = isHidden => page.evaluate(isHidden => {
    Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  await see(true);
  await until("the end of the stream", () => streams.size === 0);
  await see(false);
  await until("a stream again", () => streams.size === 1);
  assertQuiet(page);
});

test("a chosen colour scheme is kept", async () => {
  const page = await users();
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const button = page.getByRole("button", { name: /^Colour scheme/ });
  const light = await background();
  await button.click();
  await button.click();
  assert.equal(await button.getAttribute("aria-label"), "Colour scheme: dark");
  const dark = await background();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await background(), dark);
  assert.equal(await button.getAttribute("aria-label"), "Colour scheme: dark");
  await button.click();
  await page.reload();
  assert.equal(await background(), light);
  assertQuiet(page);
});
