// Draws every page into a folder: in light, in dark and at 360 px; dialogs over the page that opens them. With a pattern, only
// the pages whose path matches it.

import { mkdir } from "node:fs/promises";

import { DARK, dialog, launch, NARROW, open, signIn, WIDE } from "./browser.mjs";
import { address, furnish, PAGES, slug } from "./pages.mjs";
import { startWithUsers } from "./service.mjs";

const folder = process.argv[2] ?? "target/shots";
const pattern = new RegExp(process.argv[3] ?? "");
await mkdir(folder, { recursive: true });
const [browser, service] = await Promise.all([launch(), startWithUsers()]);
try {
  const names = await furnish(service);
  const readers = { stranger: undefined, staff: "ana", admin: "bob" };
  for (const [reader, email] of Object.entries(readers)) {
    for (const [mode, options] of Object.entries({ light: WIDE, dark: DARK, narrow: NARROW })) {
      const page = await open(browser, service, { ...options, reducedMotion: "reduce" });
      if (email) await signIn(page, service[email]);
      for (const { path, from } of PAGES[reader].filter(page => pattern.test(page.path))) {
        // Another fragment alone would load nothing.
        await page.goto("about:blank");
        await page.goto(address(from ?? path, names));
        if (from) {
          await page.locator(`a[data-sheet][href^="${address(path, names)}"]`).first().evaluate(link => link.click());
          await dialog(page).locator(".sheet").waitFor();
        }
        if (path.includes("#token")) await page.waitForURL(url => url.hash === "");
        await page.screenshot({ path: `${folder}/${reader}-${slug(path)}-${mode}.png`, fullPage: !from });
      }
      await page.context().close();
    }
  }
} finally {
  await Promise.all([browser.close(), service.stop()]);
}
