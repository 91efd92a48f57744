// What runs in the browser; the page reads and works without it. The server draws every part: here lists are narrowed,
// times kept true, parts renewed when the service says that they have changed, and buttons that cannot be taken back ask
// once more.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const root = document.getElementById("app");
const all = (selector, within = root) => [...within.querySelectorAll(selector)], one = (selector, within = root) => within.querySelector(selector);
const fill = (text, value) => text.replace("{x}", () => value);
const skew = Date.parse(document.body.dataset.now) - Date.now(); // the service's clock, not the reader's
const now = () => Date.now() + skew;
const isFolder = document.body.dataset.page === "folder";

// --- Numbers and times -----------------------------------------------------------------------------

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  while (bytes >= 1000 && i < 4) { bytes /= 1024; i++; }
  return `${bytes < 10 && i ? bytes.toFixed(1) : Math.round(bytes)}\u00a0${units[i]}`;
}
function span(seconds) {
  const [limits, steps] = [[60, 3600, 86400, Infinity], [1, 60, 3600, 86400]], i = limits.findIndex((limit) => seconds < limit);
  return fill(words.units[i], String(Math.floor(seconds / steps[i])));
}
function relative(iso) {
  const seconds = (now() - Date.parse(iso)) / 1000;
  return Math.abs(seconds) < 5 ? words.now : seconds < 0 ? fill(words.in, span(-seconds)) : fill(words.ago, span(seconds));
}
const renewTimes = () => all("time[data-rel]").forEach((time) => { time.textContent = relative(time.dateTime); });

function showUpload(line) {
  const [done, whole, rate] = ["done", "size", "rate"].map((key) => Number(line.dataset[key]));
  const facts = [`${Math.floor(done / (whole || 1) * 100)}%`, `${size(done)} / ${size(whole)}`, ...(rate ? [`${size(rate)}/s`, fill(words.eta, span(Math.max(1, (whole - done) / rate)))] : [])];
  line.replaceChildren(...facts.map((text, i) => Object.assign(document.createElement(i ? "span" : "b"), { textContent: text })));
  one("progress", line.parentElement).value = done;
}
function moveUploads() { // between two messages the service's last rate is taken to go on
  all(".rate").forEach((line) => {
    const rate = Number(line.dataset.rate);
    if (!rate) return;
    line.dataset.done = Math.min(Number(line.dataset.size), Number(line.dataset.done) + rate);
    showUpload(line);
  });
}

// --- Parts -----------------------------------------------------------------------------------------

// On a phone the table is laid out as a list; where a browser then forgets that it is a table, the roles tell.
const ROLES = { table: "table", "thead,tbody": "rowgroup", tr: "row", td: "cell", "thead th": "columnheader", "tbody th": "rowheader" };
const giveRoles = (part) => Object.entries(ROLES).forEach(([what, role]) => all(what, part).forEach((each) => each.setAttribute("role", role)));
function equip(part) {
  if (one(".table", part)) { arrange(); giveRoles(part); }
}

const PARTS = ["hero", "needs", "folders", "nodes", "now", "find", "pauses", "log"], PART_OF = { nav: "hero", numbers: "hero", results: "find", "pauses-and-quota": "pauses", main: "all", office: "all" };
const waiting = new Set(); // ids of elements that have changed, and whose place is in use
const isBusy = (place) => place.contains(document.activeElement) && document.activeElement !== document.body || one("details[open]", place) || one("[data-armed]", place);

function put(fresh) {
  const place = document.getElementById(fresh.id);
  if (!place) return;
  if (isBusy(place)) { waiting.add(fresh.id); return; }
  waiting.delete(fresh.id);
  const [before, shape] = [one("#hero"), fresh.id === "hero" ? fresh.dataset.layout : null];
  if (shape && before && before.dataset.layout && before.dataset.layout !== shape) { renew(["all"]); return; }
  const choices = fresh.id === "folders" ? keepTools(place) : null;
  const level = one("#hero")?.dataset.level;
  place.replaceWith(fresh);
  if (choices) choices(fresh);
  equip(fresh);
  const hero = one("#hero");
  if (hero && hero.dataset.level !== level) one("main > p[role=status]").textContent = one("h1, .line", hero).textContent;
}
function keepTools(place) {
  const former = one(".tools", place), { open } = rows;
  return (fresh) => {
    const form = one(".tools", fresh);
    rows.open = open;
    if (!former || !form) return;
    form.f.value = former.f.value;
    form.show.value = former.show.value;
    form.sort.value = former.sort.value;
    if (!form.show.value) form.show.value = "all";
  };
}
async function load(href, part) {
  const answer = await fetch(href, { headers: { "X-Part": part, Accept: "text/html" }, cache: "no-store" });
  if (answer.redirected || answer.status === 401) { location.reload(); throw new Error("logged out"); }
  if (!answer.ok) throw new Error(String(answer.status));
  const parsed = document.createElement("template");
  parsed.innerHTML = await answer.text(); // the server's own markup, escaped there
  return parsed.content;
}
const asked = () => { // the language, and what is searched for
  const form = one("form.find[action]"), query = new URLSearchParams(location.search);
  ["f", "show", "sort"].forEach((key) => query.delete(key)); // the script narrows the folders itself
  if (form) { new FormData(form).forEach((value, key) => { if (value) query.set(key, value); else query.delete(key); }); }
  return query.size ? `/?${query}` : "/";
};

const due = new Set();
let loading = false;
async function renew(parts) {
  parts.forEach((part) => due.add(part));
  if (loading || document.hidden) return;
  loading = true;
  try {
    while (due.size) {
      const names = due.has("all") ? "all" : [...due].join(",");
      due.clear();
      const content = await load(isFolder ? location.href : asked(), names);
      [...content.children].forEach((fresh) => put(fresh));
    }
  } catch { /* the connection is gone: its events tell */ } finally { loading = false; }
}
function catchUp() {
  const free = [...waiting].filter((id) => { const place = document.getElementById(id); return !place || !isBusy(place); });
  free.forEach((id) => waiting.delete(id));
  if (free.length) renew(free.map((id) => PART_OF[id] || id));
}

// --- The connection --------------------------------------------------------------------------------

let last = Date.now(), connected = true;
function show(ok) {
  if (ok === connected) return;
  connected = ok;
  const pill = one(".live"), main = one("main"), hero = one("#hero");
  pill.classList.toggle("off", !ok);
  one("span", pill).textContent = ok ? words.live : words.offline;
  main.classList.toggle("stale", !ok);
  if (ok) { renew(isFolder ? ["all"] : PARTS); return; }
  const offline = document.getElementById("offline").content.cloneNode(true), since = new Date(last + skew).toISOString();
  all("time", offline).forEach((time) => { time.dateTime = since; time.textContent = relative(since); });
  hero.className = "hero gone";
  hero.dataset.level = "offline";
  hero.replaceChildren(offline);
  one("main > p[role=status]").textContent = one("h1, .line", hero).textContent;
}
const heard = () => { last = Date.now(); show(true); };

const SILENCE = 30000, PATIENCE = 4000; // the service says something every 15 s
let source = null, broken = 0;
function listen() {
  source = new EventSource("/api/v1/events");
  source.onopen = () => { broken = 0; heard(); };
  source.addEventListener("alive", (event) => {
    heard();
    const { mark } = JSON.parse(event.data), page = document.body.dataset;
    if (mark && mark !== page.mark) { page.mark = mark; renew(PARTS); } // something has changed since the page was drawn
  });
  source.onmessage = (event) => {
    heard();
    const told = JSON.parse(event.data);
    (told.uploads || []).forEach((up) => {
      const line = one(`.rate[data-id="${Number(up.id)}"]`);
      if (line) { Object.assign(line.dataset, { done: up.done, rate: up.rate || 0 }); showUpload(line); }
    });
    if (told.parts && told.parts.length) renew(told.parts);
  };
  source.onerror = () => { broken ||= Date.now(); };
}
function watchConnection() {
  if (Date.now() - last > SILENCE || broken && Date.now() - broken > PATIENCE) show(false);
  if (source.readyState === EventSource.CLOSED && Date.now() - broken > PATIENCE * 2) { broken = Date.now(); listen(); } // refused, which a browser takes as final
}
async function poll() { // office workers have no token for events
  if (document.hidden) return;
  try {
    const content = await load(location.href, "all");
    heard();
    [...content.children].forEach(put);
    look();
  } catch { show(false); }
}

// --- Folders: filter, groups by state, order. At first a long group shows its first rows only. -------

const FIRST = 24, rows = { open: false };
function arrange() {
  const form = one(".tools"), table = one(".table");
  if (!form || !table) return;
  const list = all("tr[data-s]", table), text = (row) => [row, ...all("[title]", row)].map((part) => part.textContent + (part.title || "")).join(" ").toLowerCase();
  list.forEach((row, i) => { row.home ??= i; });
  const asked_ = form.f.value.trim().toLowerCase().split(/\s+/), state = form.show.value, key = form.sort.value, narrow = asked_[0] || state !== "all", open = rows.open || list.length <= 40;
  const time = (row) => one(".seen time", row)?.dateTime || "", count = (row) => Number(key === "sent" ? one("[data-sent]", row).dataset.sent : row.cells[4].textContent.replace(/\D/g, ""));
  const by = { state: (a, b) => a.home - b.home, name: (a, b) => one("a", a).textContent.localeCompare(one("a", b).textContent, "zh-CN"), event: (a, b) => time(b).localeCompare(time(a)) }[key] || ((a, b) => count(b) - count(a));
  const bodies = all("tbody", table), target = (row) => key === "state" ? bodies.find((body) => body.dataset.g === row.dataset.s) : bodies[0];
  table.classList.add("arranged");
  const moved = key !== "state" || table.moved; // at first all stand where the server has drawn them
  table.moved = key !== "state";
  let seen = 0, hidden = 0;
  list.sort(by).forEach((row) => {
    const counts = key !== "state" || row.dataset.s === "ok", match = (state === "all" || state === row.dataset.s) && (!asked_[0] || asked_.every((word) => (row.words ??= text(row)).includes(word))), fold = match && !narrow && !open && counts && seen >= FIRST;
    if (match && counts) seen++;
    if (row.hidden !== (!match || fold)) row.hidden = !match || fold;
    hidden += fold;
    if (moved) target(row).append(row);
  });
  bodies.forEach((body) => { const line = one(".group", body); if (line) line.hidden = key !== "state" || !one("tr[data-s]:not([hidden])", body); });
  const rest = one(".rest", table);
  rest.hidden = !hidden;
  rest.textContent = fill(words.rest, hidden.toLocaleString("en-US"));
  one(".none", table).hidden = list.some((row) => !row.hidden);
}

// --- Finding files ---------------------------------------------------------------------------------

let typing;
async function search() {
  clearTimeout(typing);
  const query = new URLSearchParams(location.search), { hash } = location;
  query.delete("before");
  history.replaceState(null, "", `?${query}${hash}`);
  history.replaceState(null, "", `${asked()}${hash}`);
  try {
    const content = await load(asked(), "find"), fresh = one("#results", content);
    if (fresh) one("#results").replaceWith(fresh);
  } catch { toast(words.lost); }
}
function look() { // on the page of a folder the few files are looked through here
  const form = one("form.find:not([action])");
  if (!form) return;
  const text = form.q.value.trim().toLowerCase();
  let found = 0;
  all("[data-find]").forEach((item) => { item.hidden = !item.textContent.toLowerCase().includes(text); found += !item.hidden; });
  all(".daily").forEach((part) => { part.hidden = !one("li:not([hidden])", part); });
  one("#office > .none").hidden = found > 0;
}
async function openStory(story) {
  const link = one(":scope > a", story);
  if (!link) return;
  try { story.replaceChildren(await load(link.getAttribute("href"), "story")); } catch { toast(words.lost); }
}

// --- Buttons ---------------------------------------------------------------------------------------

function toast(text) {
  const made = document.querySelector(".toast") || document.body.appendChild(Object.assign(document.createElement("p"), { className: "toast" }));
  made.setAttribute("role", "status");
  made.textContent = text;
  clearTimeout(made.timer);
  made.timer = setTimeout(() => made.remove(), 4000);
}
function disarm(button) {
  if (!button.dataset.armed) return;
  button.textContent = button.dataset.armed;
  delete button.dataset.armed;
  clearTimeout(button.timer);
}
function arm(button) {
  all("[data-armed]").forEach(disarm);
  button.dataset.armed = button.textContent;
  button.textContent = words.sure;
  button.timer = setTimeout(() => { disarm(button); catchUp(); }, 4000);
}
// What a button acts on; `formAction` is the page's own address where the form alone has one.
const addressOf = (button) => button.dataset.do || button.getAttribute("formaction") || button.form?.getAttribute("action") || "";
async function act(button, address) {
  const byKeyboard = button.matches(":focus-visible"), subject = new URL(address, location).pathname.replace(/[^/]*$/, "");
  button.disabled = true;
  try {
    const answer = await fetch(address, { method: "POST", headers: { Accept: "application/json" } });
    if (answer.status === 401) { location.reload(); return; }
    const refused = answer.ok ? null : await answer.json().catch(() => null);
    toast(answer.ok ? words.done : fill(words.not_done, refused?.error?.message || String(answer.status)));
    const details = button.closest("details");
    if (details) details.open = false;
    button.blur();
    await renew(PARTS);
    if (byKeyboard) all("button").find((each) => addressOf(each).startsWith(subject))?.focus();
  } catch { toast(words.lost); } finally { button.disabled = false; }
}
root.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (form.matches(".tools")) { event.preventDefault(); arrange(); return; }
  if (form.matches("form.find")) { event.preventDefault(); if (form.hasAttribute("action")) search(); else look(); return; }
  if (!button) return;
  if ("sure" in button.dataset) {
    event.preventDefault();
    if (!button.dataset.armed) { arm(button); return; }
    disarm(button);
    act(button, addressOf(button));
    return;
  }
  if (form.method === "post") { event.preventDefault(); act(button, addressOf(button)); }
});
root.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.matches(".tools")) arrange();
  else if (form?.matches("form.find[action]")) { clearTimeout(typing); typing = setTimeout(search, 300); }
  else if (form?.matches("form.find")) look();
});
root.addEventListener("click", (event) => {
  if (event.target.matches?.(".rest")) { rows.open = true; arrange(); }
});
root.addEventListener("toggle", (event) => {
  const story = event.target.open && one(".story", event.target);
  if (story) openStory(story); else catchUp();
}, true);
root.addEventListener("focusout", () => setTimeout(catchUp, 50));
document.addEventListener("keydown", (event) => {
  const form = one("form.find");
  if (event.key === "/" && form && !/INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) { event.preventDefault(); form.q.focus(); }
  if (event.key === "Escape") all("[data-armed]").forEach(disarm);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  renewTimes();
  if (isFolder) poll(); else if (due.size) renew([]);
});

// --- Start -----------------------------------------------------------------------------------------

document.documentElement.classList.add("scripted");
arrange();
requestAnimationFrame(() => setTimeout(() => giveRoles(root))); // after the first paint
let beats = 0;
if (isFolder) look(); else listen();
setInterval(() => {
  if (++beats % 15 === 0) { renewTimes(); if (isFolder) poll(); }
  if (!isFolder) { watchConnection(); if (connected) moveUploads(); }
}, 1000);
