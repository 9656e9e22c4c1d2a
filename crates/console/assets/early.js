// Before the first paint: that there is a script, and which colours were chosen. And in which time zone the browser is.
const root = document.documentElement, chosen = localStorage.getItem("theme");
root.classList.add("js");
if (chosen) root.dataset.theme = chosen;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `zone=${encodeURIComponent(zone)}; Path=/; SameSite=Lax; Max-Age=31536000`;
// A visitor who goes on before the transition between two pages is over skips it, which is no error.
for (const moment of ["pageswap", "pagereveal"]) {
  addEventListener(moment, ({ viewTransition: transition }) => {
    for (const step of [transition?.updateCallbackDone, transition?.ready, transition?.finished]) step?.catch(() => {});
  });
}
