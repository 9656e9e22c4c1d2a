// Before the first paint: that there is a script, and which colours were chosen. And in which time zone the browser is.
const root = document.documentElement, chosen = localStorage.getItem("theme");
root.classList.add("js");
if (chosen) root.dataset.theme = chosen;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `zone=${encodeURIComponent(zone)}; Path=/; SameSite=Lax; Max-Age=31536000`;
