// Debian's Chromium, and what is checked on every page.

import assert from "node:assert/strict";

import AxeBuilder from "@axe-core/playwright";
import { HtmlValidate } from "html-validate";
import { chromium } from "playwright-core";

import { PASSWORD } from "./service.mjs";

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

export const WIDE = { viewport: { width: 1280, height: 800 } };
export const DARK = { ...WIDE, colorScheme: "dark" };
/** Without `isMobile`, whose layout viewport grows with its content and hides overflow. */
export const NARROW = { viewport: { width: 360, height: 740 }, hasTouch: true };

/** A browser profile with one page, which collects what must not happen: messages of the console, requests to other hosts. */
export const open = async (browser, service, options = WIDE) => {
  const context = await browser.newContext({ baseURL: service.url, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  context.on("console", message => faults.push(`console: ${message.type()}: ${message.text()}`));
  context.on("weberror", error => faults.push(`error: ${error.error()}`));
  context.on("request", request => {
    const { protocol, origin } = new URL(request.url());
    if (/^(http|ws)/.test(protocol) && origin !== service.url) faults.push(`request to another host: ${request.url()}`);
  });
  return Object.assign(page, { faults });
};

/** Asserts that nothing was reported. Chromium reports answers of 4xx; those that a test expects are left out. */
export const assertQuiet = (page, expected = /(?!)/) =>
  assert.deepEqual(page.faults.splice(0).filter(fault => !expected.test(fault)), []);

export const signIn = async (page, email, password = PASSWORD) => {
  await page.goto("/sign-in");
  await page.getByLabel("Email address").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(url => url.pathname !== "/sign-in" && url.pathname !== "/");
};

/** Violations of WCAG 2.2 AA and best practice, or of some rules only, as text. */
export const violations = async (page, rules) => {
  const builder = new AxeBuilder({ page });
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await (rules ? builder.withRules(rules) : builder.withTags(tags)).analyze();
  return violations.flatMap(({ id, help, nodes }) => nodes.map(node => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary}`));
};

// Titles contain names of people and organizations, which may be long.
const validator = new HtmlValidate({ extends: ["html-validate:standard", "html-validate:a11y"], rules: { "long-title": "off" } });

/** What is wrong with the HTML of a page as it was sent, as text. */
export const invalid = async html => {
  const { results } = await validator.validateString(html);
  return results.flatMap(result => result.messages).map(it => `${it.ruleId}: ${it.message} (${it.selector ?? `line ${it.line}`})`);
};

/** Whether the page is wider than the window. */
export const overflows = page => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** The dialog. */
export const dialog = page => page.locator("#sheet[open]");
/** What the page says was done. */
export const toast = page => page.locator("#toasts .toast");
/** The row of a person in a list. */
export const row = (page, name) => page.getByRole("row", { name });

/** Opens the menu of a row, and chooses from it. */
export const choose = async (page, person, entry) => {
  await page.getByRole("button", { name: `Actions for ${person}` }).click();
  await page.locator("[popover]:popover-open").getByRole("link", { name: entry }).click();
};
