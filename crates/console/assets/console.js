// What HTML cannot do by itself. Every task works without this file.

// htmx may put our own pages into the document, and never runs text as a program.
const policy = window.trustedTypes?.createPolicy("console", { createHTML: text => text }) ?? { createHTML: text => text };
htmx.registerExtension("console", { init: api => {
  const refuse = () => { throw new Error("no evaluation here"); };
  api.initSecurity(policy, refuse, refuse);
} });
// It waits for a timer otherwise, which may be later than the first key.
htmx.initialize();

const $ = (query, from = document) => from.querySelector(query);
const sheet = $("#sheet"), palette = $("#palette");

const say = (text, url) => {
  const it = document.createElement("div"), words = document.createElement("span");
  it.className = "toast";
  words.textContent = text;
  it.append(words);
  if (url) it.append(Object.assign(document.createElement("a"), { href: url, textContent: "Show the order" }));
  $("#toasts").append(it);
  fade(it);
};

// Messages go after a while, but not from under the pointer or the focus.
const fade = it => {
  let timer;
  const start = () => { timer = setTimeout(() => it.remove(), 8000); };
  const stop = () => clearTimeout(timer);
  for (const type of ["pointerenter", "focusin"]) it.addEventListener(type, stop);
  for (const type of ["pointerleave", "focusout"]) it.addEventListener(type, start);
  start();
};
document.querySelectorAll(".toast").forEach(fade);

// A link marked data-sheet is a page; with a script it is shown in the dialog.
const openSheet = async link => {
  const inner = document.createElement("div");
  inner.id = "sheet-in";
  sheet.replaceChildren(inner);
  await htmx.ajax("GET", link.href, { target: "#sheet-in", select: "#sheet-in", swap: "outerMorph" });
  if (!$(".sheet", sheet)) return location.assign(link.href);
  sheet.setAttribute("aria-labelledby", "sheet-title");
  sheet.removeAttribute("aria-label");
  if (!sheet.open) sheet.showModal();
  const first = "input:not([type=hidden]):not([type=radio]), input[type=radio]:checked, select, textarea, button.main-act, button.risk";
  $(first, sheet)?.focus();
};
sheet?.addEventListener("close", () => {
  sheet.replaceChildren();
  sheet.removeAttribute("aria-labelledby");
  sheet.setAttribute("aria-label", "Dialog");
});

const nameTheme = () =>
  $("[data-theme-next]")?.setAttribute("aria-label", `Colour scheme: ${document.documentElement.dataset.theme ?? "system"}`);
nameTheme();

document.addEventListener("click", async event => {
  const at = query => event.target.closest(query);
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = at("a[data-sheet]");
  if (link && sheet && !$("main > .sheet")) {
    event.preventDefault();
    at("[popover]")?.hidePopover();
    return openSheet(link);
  }
  if (at("[data-close]") && sheet?.open) { event.preventDefault(); sheet.close(); }
  if (at("[data-palette]") && palette) { event.preventDefault(); palette.showModal(); }
  if (at("[data-dismiss]")) at(".toast").remove();
  const copy = at("[data-copy]");
  if (copy) { event.preventDefault(); await navigator.clipboard?.writeText(copy.dataset.copy); say("Copied"); }
  if (at("[data-theme-next]")) {
    const next = { undefined: "light", light: "dark", dark: undefined }[document.documentElement.dataset.theme];
    if (next) { document.documentElement.dataset.theme = next; localStorage.theme = next; }
    else { delete document.documentElement.dataset.theme; localStorage.removeItem("theme"); }
    nameTheme();
  }
});

// A file was asked for: the dialog has done its part.
document.addEventListener("submit", event => { if (event.target.matches("[data-download]")) setTimeout(() => sheet?.close(), 0); });

// Filters that are not set do not stand in the address.
document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method === "GET" && ctx.request.body) for (const [key, value] of [...ctx.request.body]) if (value === "") ctx.request.body.delete(key);
});
document.addEventListener("htmx:after:swap", () => $("#sheet[open] [autofocus]")?.focus());

// Single letters only outside of fields (WCAG 2.1.4); the help page switches them off.
const hasLetters = () => localStorage.getItem("letters") !== "off";
const letters = $("[data-letters]");
if (letters) {
  letters.checked = hasLetters();
  letters.addEventListener("change", () => letters.checked ? localStorage.removeItem("letters") : localStorage.setItem("letters", "off"));
}
let before = "";
document.addEventListener("keydown", event => {
  if ((event.metaKey || event.ctrlKey) && event.key === "k" && palette) { event.preventDefault(); palette.showModal(); return; }
  if (event.key === "Escape" && !sheet?.open && !palette?.open && !$("[popover]:popover-open")) $("[data-unpeek]")?.click();
  if (event.target.matches("input, select, textarea") || event.metaKey || event.ctrlKey || event.altKey || !hasLetters()) return;
  const go = { u: "users", a: "audit-log", o: "organizations" }[event.key];
  const link = before === "g" && go && $(`.nav a[href$="/${go}"]`);
  if (event.key === "/" && $("#q")) { event.preventDefault(); $("#q").focus(); }
  else if (event.key === "?") location.assign("/help");
  else if (link) location.assign(link.href);
  before = event.key;
});
palette?.addEventListener("input", event => {
  const words = event.target.value.trim().toLowerCase();
  for (const entry of palette.querySelectorAll("li")) entry.hidden = !entry.textContent.toLowerCase().includes(words);
});
palette?.addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], all = [$("input", palette), ...palette.querySelectorAll("li:not([hidden]) a")];
  if (!step) return;
  event.preventDefault();
  all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
});

// The token of a link stands behind #: into the form, and out of the address bar.
const tokenForm = $("form[data-token]");
if (tokenForm && location.hash.startsWith("#token=")) {
  $("input[name=token]", tokenForm).value = location.hash.slice(7);
  history.replaceState(null, "", location.pathname);
  tokenForm.requestSubmit($("button[name=step]", tokenForm));
}

// Work in progress is looked at again.
if ($("[data-refresh]")) setTimeout(() => location.reload(), 2000);

// Live: one stream for the page that is seen. It only says that something has changed; the page asks again, at most every
// three seconds. Nothing jumps under the reader's hand: the page says that it has changed.
const PAUSE_MS = 3000;
const live = $("[data-live]"), notified = document.body.dataset.notices;
// Until when the reader knows what vendors have answered, and up to which position this tab has looked.
if (notified) sessionStorage.notified ??= notified; else for (const name of ["notified", "position"]) sessionStorage.removeItem(name);
if ((live || notified) && window.EventSource) {
  let stream, timer, position, last = 0;
  // What distinguishes two states of a page: rows with their statuses, versions of parts.
  const state = from => [...from.querySelectorAll("[data-live] tbody tr, [data-live] .log > li, [data-version]")]
    .map(it => [it.id, it.dataset.version, ...[...it.querySelectorAll(".tag.dot")].map(tag => tag.textContent)].join(" ")).join("\n");
  const inBackground = async url => {
    const answer = await fetch(url, { headers: { "porttask-background": "true", "porttask-at-least": position } });
    if (!answer.ok || answer.redirected) throw new Error(`no answer of ${url}`);
    return answer;
  };
  const look = async () => {
    const answer = await inBackground(location.href);
    const page = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html"), here = $(".changed");
    if (here && $("[data-live]", page) && state(page) !== state(document)) here.hidden = false;
  };
  const tell = async () => {
    const answer = await inBackground(`/notices?after=${encodeURIComponent(sessionStorage.notified)}`);
    for (const { text, url, at } of await answer.json()) { say(text, url); sessionStorage.notified = at; }
  };
  const ask = async () => {
    timer = undefined;
    last = Date.now();
    const asked = position;
    try {
      await Promise.all([$(".changed[hidden]") && look(), notified && tell()]);
      sessionStorage.position = asked;
    } catch {
      // A user who leaves the page meanwhile misses nothing: the next page starts at another position, and asks.
    }
  };
  const hear = event => {
    ({ position } = JSON.parse(event.data));
    sessionStorage.position ??= position;
    // The first message of a stream says where it starts: something has changed if this tab has not looked up to there.
    if (event.type === "position" && sessionStorage.position === position) return;
    timer ??= setTimeout(ask, Math.max(300, last + PAUSE_MS - Date.now()));
  };
  const follow = () => {
    if (document.hidden) { stream?.close(); stream = undefined; return; }
    if (stream) return;
    stream = new EventSource("/live");
    for (const type of ["position", "moved"]) stream.addEventListener(type, hear);
  };
  document.addEventListener("visibilitychange", follow);
  // A page that is left at once needs no stream for its notices.
  setTimeout(follow, live ? 0 : 2000);
}
