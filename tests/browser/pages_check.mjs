// Every page: accessible, valid, quiet, from this host only, and not wider than a phone; in light and dark, and as a dialog.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertQuiet, dialog, invalid, launch, NARROW, open, overflows, signIn, violations, WIDE } from "./browser.mjs";
import { address, furnish, PAGES, pattern } from "./pages.mjs";
import { startWithUsers } from "./service.mjs";

let browser, service, names;

// Colours that still change would be measured.
const STILL = { reducedMotion: "reduce" };
const readers = { stranger: undefined, staff: "ana", admin: "bob" };

/** Declares the tests of the pages that a reader sees. */
export const pagesAre = reader => describe(`as ${reader}`, () => {
  const email = readers[reader];
  let wide, narrow;
  const linked = new Map();
  before(async () => {
    [browser, service] = await Promise.all([launch(), startWithUsers()]);
    names = await furnish(service);
    wide = await open(browser, service, { ...WIDE, ...STILL });
    narrow = await open(browser, service, { ...NARROW, ...STILL });
    for (const page of email ? [wide, narrow] : []) await signIn(page, service[email]);
  });
  after(() => Promise.all([browser?.close(), service?.stop()]));

  for (const { path, from, status = 200, submitted = status } of PAGES[reader]) {
    test(path, async () => {
      const url = address(path, names), expected = submitted === 200 ? undefined : new RegExp(`status of ${submitted}`);
      // What an earlier page did not expect is not this one's fault.
      for (const page of [wide, narrow]) page.faults.length = 0;
      await wide.goto("about:blank");
      assert.equal((await wide.goto(url)).status(), status);
      if (url.includes("#token")) await wide.waitForURL(url => url.hash === "");
      await check(wide, "in light");
      for (const href of await hrefs(wide)) linked.set(pattern(href), path);
      assert.deepEqual(await invalid(await (await wide.request.get(url.replace(/#.*/, ""))).text()), []);

      if (from) await openDialog(wide, url, from);
      if (from) await check(wide, "as a dialog");
      await wide.emulateMedia({ colorScheme: "dark" });
      assert.deepEqual(await violations(wide, ["color-contrast"]), [], "in dark");
      await wide.emulateMedia({ colorScheme: "light" });

      await narrow.goto(url);
      assert.equal(await overflows(narrow), false, "wider than 360 px");
      if (from) await openDialog(narrow, url, from);
      await check(narrow, "at 360 px");
      for (const page of [wide, narrow]) assertQuiet(page, expected);
    });
  }

  test("every page that a link leads to is in the list", () => {
    const known = new Set(Object.values(PAGES).flat().map(page => pattern(page.path)));
    const others = [...linked].filter(([page]) => !known.has(page) && page !== "/" && !page.startsWith("/docs"));
    assert.deepEqual(others, []);
  });
});

/** Opens a page as a dialog over the one that links to it. */
const openDialog = async (page, url, from) => {
  await page.goto(address(from, names));
  await page.locator(`a[data-sheet][href^="${url}"]`).first().evaluate(link => link.click());
  await dialog(page).locator(".sheet").waitFor();
};

const check = async (page, how) => {
  assert.deepEqual(await violations(page), [], how);
  assert.equal(await overflows(page), false, `${how}: wider than the window`);
  assert.deepEqual(await duplicates(page), [], `${how}: ids that occur twice`);
};

const duplicates = page => page.evaluate(() => {
  const ids = [...document.querySelectorAll("[id]")].map(it => it.id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
});

/** The pages that links lead to; downloads are no pages. */
const hrefs = page => page.evaluate(() =>
  [...document.querySelectorAll("a[href]:not([data-download])")].map(link => new URL(link.href)).filter(url => url.origin === location.origin)
    .map(url => url.pathname));
