// Agents see what vendors answer, and pages say that they have changed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertQuiet, launch, open, signIn, toast } from "./browser.mjs";
import { startWithUsers } from "./service.mjs";

let browser, service, vendor, call;
before(async () => {
  [browser, service] = await Promise.all([launch(), startWithUsers([])]);
  vendor = (await post("/vendors", { name: "Svitzer Santos", services: ["towage"], order_email: "orders@svitzer.example" })).id;
  call = (await post("/port-calls", {
    port: { unlocode: "BRSSZ" }, vessel: "MSC Anna", imo: "9074729", eta: "2026-12-03T08:30", etd: "2026-12-04T18:00",
  })).id;
});
after(() => Promise.all([browser?.close(), service?.stop()]));

const post = (path, body) => service.api("POST", `/organizations/current${path}`, body, service.admin);
const ordered = async () => (await post("/service-orders", {
  port_call: call, vendor, service: "towage", details: "Two tugs for berthing", requested_at: "2026-12-03T08:30",
})).id;

test("an answer of a vendor is shown on every page, and opened when it is asked for", async () => {
  const order = await ordered();
  const token = /#token=(\S+)/.exec((await service.mail("orders@svitzer.example")).text)[1];
  const answer = answer => service.api("POST", "/vendor-responses", { token, answer });
  const page = await open(browser, service);
  await signIn(page, service.bob);
  const url = `/operations/service-orders/${order}`, changed = page.getByRole("link", { name: "This has changed. Show it" });
  await page.goto(url);
  await page.getByText("Assigned", { exact: true }).first().waitFor();
  assert.equal(await changed.count(), 0);
  await answer("accepted");
  await toast(page).getByText("Svitzer Santos accepted: towage for MSC Anna").waitFor();
  await changed.click();
  await page.getByText("Accepted", { exact: true }).first().waitFor();
  await changed.waitFor({ state: "detached" });

  // Before the stream of the page is open.
  await page.goto("/help");
  await answer("completed");
  const told = toast(page).filter({ hasText: "Svitzer Santos has provided: towage for MSC Anna" });
  await told.getByRole("link", { name: "Show the order" }).click();
  await page.waitForURL(`**${url}`);
  await page.getByText("Completed", { exact: true }).first().waitFor();
  assertQuiet(page);
});

test("a list and the page of a port call notice that a status has changed", async () => {
  const order = await ordered();
  const page = await open(browser, service);
  await signIn(page, service.bob);
  for (const [url, notice, command] of [
    ["/operations/service-orders", "There are changes. Show them", "cancel"],
    [`/operations/port-calls/${call}`, "This has changed. Show it", undefined],
  ]) {
    await page.goto(url);
    await page.getByRole("main").getByText("MSC Anna").first().waitFor();
    const changed = page.getByRole("link", { name: notice });
    assert.equal(await changed.count(), 0);
    if (command) await post(`/service-orders/${order}/${command}`, {});
    else await post(`/port-calls/${call}/status`, { status: "confirmed" });
    await changed.waitFor();
  }
  assertQuiet(page);
});
