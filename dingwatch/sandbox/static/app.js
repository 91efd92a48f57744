// The sandbox's chat page. Everything that comes from the server is shown as text, never as markup: file
// names are hostile.
"use strict";

const TEXTS = {
  zh: {
    title: "钉钉沙箱",
    note: "本机的钉钉模拟服务：消息只到这里，不会发送到真正的钉钉。",
    conversations: "会话",
    messages: "消息",
    back: "返回会话列表",
    earlier: "查看更早的消息",
    wait: "正在连接",
    live: "实时",
    lost: "连接断开，正在重连",
    robot: "机器人",
    drive: "钉盘文件",
    link: "钉盘链接",
    group: "机器人已入群",
    outside: "机器人不在群里",
    person: "单聊",
    count: (n) => `${n} 条消息`,
    fresh: (n) => `${n} 条新消息`,
    unread: (n) => `${n} 条未读`,
    none: "暂无消息",
    recalled: (who) => `${who} 撤回了一条消息`,
    download: (name) => `下载 ${name}`,
    lostFile: "文件不存在",
    copy: "复制会话 ID",
    copied: "已复制会话 ID",
    file: "[文件]",
    picture: "[图片]",
    voice: "[语音]",
    video: "[视频]",
    card: "[消息]",
    emptyTitle: "还没有消息",
    emptyLead: "把文件放进监视的文件夹，几秒后就会显示在这里。",
    step1: "在 dingwatch 的配置中，把一个文件夹映射到这个会话：",
    step2: "运行 dingwatch：",
    step3: "把任意文件放进该文件夹。无需刷新页面。",
    outsideTitle: "机器人不在这个群里",
    outsideLead: "发到这里的消息会被拒绝，与真正的钉钉一样。可以用它查看出错时的情况。",
  },
  en: {
    title: "DingTalk sandbox",
    note: "A local stand-in for DingTalk: messages end here and never reach the real one.",
    conversations: "Conversations",
    messages: "Messages",
    back: "Back to the conversations",
    earlier: "Show earlier messages",
    wait: "Connecting",
    live: "Live",
    lost: "Connection lost, reconnecting",
    robot: "Robot",
    drive: "Drive file",
    link: "Drive link",
    group: "robot is a member",
    outside: "robot is not a member",
    person: "one-to-one",
    count: (n) => (n === 1 ? "1 message" : `${n} messages`),
    fresh: (n) => (n === 1 ? "1 new message" : `${n} new messages`),
    unread: (n) => `${n} unread`,
    none: "No messages yet",
    recalled: (who) => `${who} recalled a message`,
    download: (name) => `Download ${name}`,
    lostFile: "No such file",
    copy: "Copy the conversation ID",
    copied: "Conversation ID copied",
    file: "[File]",
    picture: "[Picture]",
    voice: "[Voice]",
    video: "[Video]",
    card: "[Message]",
    emptyTitle: "No messages yet",
    emptyLead: "Drop a file into a watched folder, and it shows up here a few seconds later.",
    step1: "In dingwatch's config, map a folder to this conversation:",
    step2: "Start dingwatch:",
    step3: "Copy any file into that folder. You do not need to reload this page.",
    outsideTitle: "The robot is not in this group",
    outsideLead: "The sandbox refuses messages to this group, as DingTalk would. Use it to see what a failure looks like.",
  },
};

const wanted = navigator.languages && navigator.languages.length ? navigator.languages : [navigator.language || "en"];
const language = wanted.map((each) => each.slice(0, 2).toLowerCase()).find((each) => each in TEXTS) || "en";
const locale = language === "zh" ? "zh-CN" : wanted.find((each) => each.startsWith("en")) || "en";
const T = TEXTS[language];

const KINDS = {
  word: "doc docx wps rtf odt",
  sheet: "xls xlsx csv et ods",
  slides: "ppt pptx key odp dps",
  pdf: "pdf",
  zip: "zip rar 7z gz tar tgz bz2 xz",
  image: "png jpg jpeg gif bmp webp svg heic tif tiff psd",
  audio: "mp3 wav amr ogg m4a flac",
  video: "mp4 mov avi mkv webm",
  code: "py js ts java c h cpp go rs sh sql json xml yaml yml css",
  text: "txt md log ini conf",
};
const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, list]) => list.split(" ").map((each) => [each, kind])));
const PICTURES = new Set(["png", "jpg", "jpeg", "gif", "webp", "bmp"]);
const PICTURE_LIMIT = 20 * 1024 * 1024; // what is larger is not loaded into the page by itself
const IMAGE_KEYS = new Set(["sampleImageMsg", "image"]);
const MARKDOWN_KEYS = new Set(["sampleMarkdown", "markdown", "action_card", "actionCard"]);
const CARD = /^sampleActionCard/;
const LINK_KEYS = new Set(["sampleLink", "link"]);
const PAGE = 200;

const $ = (id) => document.getElementById(id);
const state = { epoch: "", conversations: new Map(), open: null, shown: [], limit: PAGE, fresh: 0 };

// Small things ------------------------------------------------------------------------------------------

// Controls and the marks that turn the reading direction can make a name look like another one.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const visible = (text) => String(text).replace(CONTROLS, "\ufffd");

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function drawing(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  return element;
}

function symbol(id) {
  const svg = drawing("svg", { "aria-hidden": "true" });
  svg.append(drawing("use", { href: `#${id}` }));
  return svg;
}

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(locale, { month: "long", day: "numeric", weekday: "short" });
const shortDate = new Intl.DateTimeFormat(locale, { month: "numeric", day: "numeric" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

const midnight = (seconds) => new Date(seconds * 1000).setHours(0, 0, 0, 0);

function daysAgo(seconds) {
  return Math.round((midnight(Date.now() / 1000) - midnight(seconds)) / 86400000);
}

function dayName(seconds) {
  const ago = daysAgo(seconds);
  if (ago !== 0 && ago !== 1) return date.format(seconds * 1000);
  const name = relative.format(-ago, "day");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function humanSize(bytes) {
  if (bytes === null) return "";
  let value = bytes;
  for (const unit of ["B", "KB", "MB"]) {
    if (value < 1024) return `${number.format(value)} ${unit}`;
    value /= 1024;
  }
  return `${number.format(value)} GB`;
}

const order = (message) => Number(message.id.slice(1));
const extensionOf = (name) => (name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "");

function tintOf(conversation) {
  if (!conversation.robot_inside) return "tint-out";
  return `tint-${[...state.conversations.keys()].indexOf(conversation.id) % 6}`;
}

// What was read, remembered by the browser -----------------------------------------------------------------

let readCounts = {};

function loadReadCounts() {
  try {
    readCounts = JSON.parse(localStorage.getItem(`read-${state.epoch}`) || "{}");
  } catch {
    readCounts = {};
  }
}

function markRead(conversation) {
  readCounts[conversation.id] = conversation.messages;
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith("read-") && key !== `read-${state.epoch}`) localStorage.removeItem(key);
    }
    localStorage.setItem(`read-${state.epoch}`, JSON.stringify(readCounts));
  } catch {
    // Private windows may refuse; then it is remembered until the page is closed.
  }
}

const unreadOf = (conversation) => Math.max(0, conversation.messages - (readCounts[conversation.id] || 0));

// The list --------------------------------------------------------------------------------------------------

const isMarkdown = (message) => MARKDOWN_KEYS.has(message.msg_key) || CARD.test(message.msg_key);

/** Who a member of the group sees as the sender. */
function senderOf(message) {
  if (!message.sender) return { name: "dingwatch", robot: true };
  if (message.sender.startsWith("robot:")) return { name: visible(message.sender.slice(6)), robot: true };
  return { name: visible(message.sender), robot: false };
}

function summary(message) {
  const who = senderOf(message);
  if (message.recalled) return T.recalled(who.name);
  const text = contentSummary(message);
  return who.robot ? text : `${who.name}: ${text}`;
}

function contentSummary(message) {
  if (message.file_name) return `${T.file} ${visible(message.file_name)}`;
  if (IMAGE_KEYS.has(message.msg_key)) return T.picture;
  if (message.msg_key === "sampleAudio" || message.msg_key === "voice") return T.voice;
  if (message.msg_key === "sampleVideo") return T.video;
  // The title of a markdown message is made for this place: the chat itself does not show it.
  if (isMarkdown(message) && message.text.includes("\n")) return visible(message.text.split("\n", 1)[0]);
  return visible(message.text.replace(/\n/g, " ")) || T.card;
}

function rowTime(seconds) {
  return daysAgo(seconds) === 0 ? clock.format(seconds * 1000) : shortDate.format(seconds * 1000);
}

function row(conversation) {
  const button = make("a", "row");
  button.href = `#${encodeURIComponent(conversation.id)}`;
  button.dataset.id = conversation.id;
  if (conversation.id === state.open) button.setAttribute("aria-current", "true");
  const avatar = make("span", `avatar ${tintOf(conversation)}`, [...conversation.name][0] || "?");
  avatar.setAttribute("aria-hidden", "true");
  button.append(avatar, make("span", "name", visible(conversation.name)));
  const last = conversation.last;
  button.append(make("time", "", last ? rowTime(last.at) : ""));
  button.append(make("span", "last", last ? summary(last) : conversation.robot_inside ? T.none : T.outside));
  const unread = unreadOf(conversation);
  if (unread) {
    const badge = make("span", "badge", unread > 99 ? "99+" : String(unread));
    badge.setAttribute("aria-label", T.unread(unread));
    button.append(badge);
  }
  const item = make("li");
  item.append(button);
  return item;
}

function drawList() {
  const focused = document.activeElement && document.activeElement.dataset.id;
  const all = [...state.conversations.values()];
  // Newest first, as in every chat; the silent ones keep their order.
  all.sort((one, other) => (other.last ? order(other.last) : 0) - (one.last ? order(one.last) : 0));
  $("list").replaceChildren(...all.map(row));
  if (focused) [...$("list").querySelectorAll(".row")].find((each) => each.dataset.id === focused)?.focus();
  const unread = all.reduce((sum, each) => sum + unreadOf(each), 0);
  document.title = unread ? `(${unread}) ${T.title}` : T.title;
}

// One message -----------------------------------------------------------------------------------------------

function fileIcon(extension) {
  const kind = KIND_OF.get(extension) || "other";
  const svg = drawing("svg", { class: `icon k-${kind}`, viewBox: "0 0 44 52", "aria-hidden": "true" });
  svg.append(drawing("path", { class: "page", d: "M6 1h22l15 15v30a5 5 0 0 1-5 5H6a5 5 0 0 1-5-5V6a5 5 0 0 1 5-5z" }));
  svg.append(drawing("path", { class: "fold", d: "M28 1l15 15H32a4 4 0 0 1-4-4z" }));
  const label = drawing("text", { x: "22", y: "38" });
  label.textContent = visible(extension).slice(0, 4).toUpperCase() || "?";
  svg.append(label);
  return svg;
}

function picture(message, name) {
  const image = make("img", "picture");
  image.src = `/sandbox/files/${message.id}`;
  image.alt = name;
  image.loading = "lazy";
  image.addEventListener("error", () => image.remove());
  return image;
}

function fileCard(message, name) {
  const extension = message.file_type || extensionOf(name);
  const known = message.size !== null;
  const card = make(known ? "a" : "div", "bubble");
  if (known) {
    card.href = `/sandbox/files/${message.id}`;
    card.download = "";
    card.setAttribute("aria-label", `${T.download(name)}, ${humanSize(message.size)}`);
    const small = message.size <= PICTURE_LIMIT;
    if (small && PICTURES.has(extension.toLowerCase())) card.append(picture(message, name));
  }
  const body = make("div", "file");
  const size = make("span", "size", known ? humanSize(message.size) : T.lostFile);
  if (known) size.append(symbol("i-down"));
  if (message.entry_id) size.append(make("span", "tag", message.msg_key === "convFileLink" ? T.link : T.drive));
  body.append(make("span", "title", name), size, fileIcon(extension));
  card.append(body);
  return card;
}

/** A picture message: the picture and nothing else. */
function pictureCard(message) {
  const card = make("a", "bubble image");
  card.href = `/sandbox/files/${message.id}`;
  card.download = "";
  card.setAttribute("aria-label", T.download(T.picture));
  card.append(picture(message, T.picture));
  return card;
}

function bubble(message) {
  if (message.file_name !== null) return fileCard(message, visible(message.file_name));
  if (message.media_id !== null) {
    if (IMAGE_KEYS.has(message.msg_key) && message.size !== null) return pictureCard(message);
    const names = { sampleImageMsg: [T.picture, "png"], sampleAudio: [T.voice, "amr"], sampleVideo: [T.video, "mp4"] };
    const [name, type] = names[message.msg_key] || [T.file, ""];
    return fileCard({ ...message, file_type: type }, name);
  }
  const box = make("div", "bubble");
  if (IMAGE_KEYS.has(message.msg_key)) {
    const text = make("div", "text");
    text.append(anchor(message.text, message.text)); // a picture of another site is not loaded
    box.append(text);
  } else if (isMarkdown(message)) box.append(markdown(message.text.slice(message.text.indexOf("\n") + 1)));
  else if (LINK_KEYS.has(message.msg_key)) box.append(linkCard(message.text));
  else box.append(make("div", "text", message.text ? lines(message.text) : T.card));
  return box;
}

const lines = (text) => text.split("\n").map(visible).join("\n");

// Markdown, as far as DingTalk shows it. Only text nodes and elements made here: what was sent stays text ----

const WEB = /^https?:[/]{2}/i;

/** A link out, or its words when it leads anywhere but to the web. */
function anchor(words, address) {
  if (!WEB.test(address)) return document.createTextNode(visible(words));
  const link = make("a", "out", visible(words) || visible(address));
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.title = visible(address);
  return link;
}

const INLINE = /!?\[([^\]\n]*)\]\(([^)\s]+)\)|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*|`([^`\n]+)`|(https?:\/\/[^\s<>"）】]+)/g;

function inline(parent, text) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parent.append(visible(text.slice(end, match.index)));
    end = match.index + match[0].length;
    const [, words, address, strong, emphasis, code, bare] = match;
    if (address !== undefined) parent.append(anchor(words, address));
    else if (strong !== undefined) parent.append(make("strong", "", visible(strong)));
    else if (emphasis !== undefined) parent.append(make("em", "", visible(emphasis)));
    else if (code !== undefined) parent.append(make("code", "", visible(code)));
    else parent.append(anchor(bare, bare));
  }
  parent.append(visible(text.slice(end)));
  return parent;
}

const BLOCKS = [
  [/^(#{1,6})\s+(.*)$/, (match) => [`h${Math.max(3, match[1].length)}`, match[2], `head-${match[1].length}`]],
  [/^\s*[-*+]\s+(.*)$/, (match) => ["li", match[1], ""]],
  [/^\s*\d+[.)]\s+(.*)$/, (match) => ["li", match[1], "numbered"]],
  [/^>\s?(.*)$/, (match) => ["blockquote", match[1], ""]],
];

function markdown(text) {
  const box = make("div", "text markdown");
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const [pattern, shape] = BLOCKS.find(([each]) => each.test(line)) || [];
    const [tag, content, className] = pattern ? shape(line.match(pattern)) : ["p", line, ""];
    if (tag !== "li") {
      box.append(inline(make(tag, className), content));
      continue;
    }
    const kind = className ? "OL" : "UL";
    if (box.lastChild?.nodeName !== kind) box.append(make(kind.toLowerCase()));
    box.lastChild.append(inline(make("li"), content));
  }
  return box;
}

function linkCard(text) {
  const parts = text.split("\n");
  const address = parts.pop();
  const box = make("div", "text markdown");
  box.append(make("strong", "", visible(parts.shift() || "")), make("p", "", parts.map(visible).join("\n")));
  box.append(anchor(address, address));
  return box;
}

function stamp(message) {
  const time = make("time", "", clock.format(message.at * 1000));
  time.dateTime = new Date(message.at * 1000).toISOString();
  time.title = new Date(message.at * 1000).toLocaleString(locale);
  return time;
}

function head(who) {
  const avatar = make("span", who.robot ? "avatar robot" : "avatar person", who.robot ? undefined : [...who.name][0]);
  avatar.setAttribute("aria-hidden", "true");
  if (who.robot) avatar.append(symbol("i-robot"));
  const by = make("div", "by");
  by.append(make("span", "", who.name));
  if (who.robot) by.append(make("span", "tag", T.robot));
  return [avatar, by];
}

function drawMessage(message, previous) {
  const items = [];
  if (!previous || midnight(previous.at) !== midnight(message.at)) items.push(make("li", "day", dayName(message.at)));
  if (message.recalled) {
    items.push(make("li", "gone", T.recalled(senderOf(message).name)));
    return items;
  }
  // One head for messages of one sender that come within three minutes of each other.
  const near = previous && !previous.recalled && message.at - previous.at < 180;
  const follows = !items.length && near && previous.sender === message.sender;
  const item = make("li", follows ? "message follows" : "message");
  if (!follows) item.append(...head(senderOf(message)));
  const line = make("div", "line");
  line.append(bubble(message), stamp(message));
  item.append(line);
  items.push(item);
  return items;
}

// The open conversation -------------------------------------------------------------------------------------

function stepsOf(conversation) {
  const steps = make("ol");
  for (const [text, code] of [
    [T.step1, `conversation_id: ${conversation.id}`],
    [T.step2, "dingwatch run -c config.yaml"],
    [T.step3, null],
  ]) {
    const step = make("li", "", text);
    if (code) step.append(make("code", "", code));
    steps.append(step);
  }
  return steps;
}

function drawEmpty(conversation) {
  const inside = conversation.robot_inside;
  const parts = [
    symbol(inside ? "i-drop" : "i-closed"),
    make("h3", "", inside ? T.emptyTitle : T.outsideTitle),
    make("p", "", inside ? T.emptyLead : T.outsideLead),
  ];
  if (inside) parts.push(stepsOf(conversation));
  $("empty").replaceChildren(...parts);
}

function drawHead(conversation) {
  $("name").textContent = visible(conversation.name);
  const person = !conversation.id.startsWith("cid");
  const place = person ? T.person : conversation.robot_inside ? T.group : T.outside;
  $("about").textContent = `${T.count(conversation.messages)} · ${place}`;
  $("ident").hidden = person;
  $("ident").firstElementChild.textContent = conversation.id;
  $("ident").setAttribute("aria-label", `${T.copy}: ${conversation.id}`);
  $("ident").title = T.copy;
}

function drawChat() {
  const conversation = state.conversations.get(state.open);
  if (!conversation) return;
  drawHead(conversation);
  const items = state.shown.flatMap((message, index) => drawMessage(message, state.shown[index - 1]));
  $("messages").replaceChildren(...items);
  $("earlier").hidden = state.shown.length >= conversation.messages || !state.shown.length;
  $("empty").hidden = state.shown.length > 0;
  if (!state.shown.length) drawEmpty(conversation);
}

const atEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 80;

function toEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  state.fresh = 0;
  $("fresh").hidden = true;
  read();
}

/** What the person can see now is read. */
function read() {
  const conversation = state.conversations.get(state.open);
  if (!conversation || document.hidden || !atEnd() || !chatIsVisible()) return;
  state.fresh = 0;
  $("fresh").hidden = true;
  if (unreadOf(conversation)) {
    markRead(conversation);
    drawList();
  }
}

const chatIsVisible = () => $("chat").getClientRects().length > 0;

async function fetchJson(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Loads and shows a conversation at its end, or keeps the distance to the `top` or the `bottom`. */
async function open(id, keep = "") {
  const same = id === state.open;
  state.open = id;
  if (!same) {
    state.limit = PAGE;
    state.shown = [];
    state.fresh = 0;
    $("fresh").hidden = true;
  }
  const rows = await fetchJson(`/sandbox/messages?limit=${state.limit}&conversation_id=${encodeURIComponent(id)}`);
  if (state.open !== id) return; // another one was opened meanwhile
  const scroll = $("scroll");
  const { scrollTop: top, scrollHeight: height } = scroll;
  state.shown = rows;
  drawChat();
  drawList();
  if (keep === "top") scroll.scrollTop = top;
  else if (keep === "bottom") scroll.scrollTop = scroll.scrollHeight - height + top;
  else toEnd();
}

// What happens meanwhile: events are gathered and drawn once a frame, however many there are ---------------

let waiting = [];

function gather(message) {
  waiting.push(message);
  if (waiting.length === 1) schedule(drawWaiting);
}

// Frames do not come while the page is hidden, but its title should count on.
function schedule(work) {
  if (document.hidden) setTimeout(work, 250);
  else requestAnimationFrame(work);
}

function drawWaiting() {
  const batch = waiting;
  waiting = [];
  const wasAtEnd = atEnd();
  let unknown = false;
  for (const message of batch) {
    const conversation = state.conversations.get(message.conversation_id);
    if (!conversation) unknown = true;
    else if (!conversation.last || order(message) > order(conversation.last)) {
      conversation.messages += 1;
      conversation.last = message;
    } else if (conversation.last.id === message.id) conversation.last = message;
  }
  if (unknown) load();
  const here = batch.filter((each) => each.conversation_id === state.open);
  if (here.length) show(here, wasAtEnd);
  drawList();
}

function show(batch, wasAtEnd) {
  const known = new Map(state.shown.map((each, index) => [each.id, index]));
  const added = [];
  let changed = false;
  for (const message of batch) {
    if (known.has(message.id)) {
      changed ||= state.shown[known.get(message.id)].recalled !== message.recalled;
      state.shown[known.get(message.id)] = message;
    } else added.push(message);
  }
  const first = state.shown.length;
  state.shown.push(...added);
  // A page that follows a flood keeps the newest, so that it stays quick.
  const surplus = wasAtEnd ? Math.max(0, state.shown.length - PAGE * 2) : 0;
  if (surplus) state.shown.splice(0, surplus);
  if (changed || surplus || !first) drawChat();
  else {
    drawHead(state.conversations.get(state.open));
    added.forEach((message, index) => {
      const items = drawMessage(message, state.shown[first + index - 1]);
      for (const item of items) item.classList.add("new");
      $("messages").append(...items);
    });
  }
  if (wasAtEnd) toEnd();
  else if (added.length) {
    state.fresh += added.length;
    $("fresh").textContent = `↓ ${T.fresh(state.fresh)}`;
    $("fresh").hidden = false;
  }
}

// Start, connection, keys -------------------------------------------------------------------------------------

async function load() {
  const answer = await fetchJson("/sandbox/conversations");
  if (answer.epoch !== state.epoch) {
    state.epoch = answer.epoch;
    state.shown = [];
    loadReadCounts();
  }
  state.conversations = new Map(answer.conversations.map((each) => [each.id, each]));
  drawList();
  await follow();
}

/** Shows what the address says: `#` is the list, `#cid…` a conversation. On a wide screen one is always open. */
async function follow() {
  let id = "";
  try {
    id = decodeURIComponent(location.hash.slice(1));
  } catch {
    // Not one of our addresses.
  }
  const named = state.conversations.has(id);
  $("app").dataset.view = named ? "chat" : "list";
  if (!named) id = state.open || $("list").querySelector(".row")?.dataset.id || "";
  if (state.conversations.has(id)) await open(id, id === state.open && !atEnd() ? "top" : "");
}

function connected(how) {
  $("link").dataset.state = how;
  $("link").lastElementChild.textContent = how === "lost" && innerWidth < 1100 ? T.wait : T[how];
  $("link").title = T[how];
}

function connect() {
  const source = new EventSource("/sandbox/events");
  // After every (re)connection everything is loaded anew: what happened meanwhile was not told.
  source.addEventListener("hello", () => {
    connected("live");
    load().catch(() => connected("lost"));
  });
  source.addEventListener("message", (event) => gather(JSON.parse(event.data)));
  source.addEventListener("recall", (event) => gather(JSON.parse(event.data)));
  source.addEventListener("reset", () => load().catch(() => connected("lost")));
  source.onerror = () => {
    connected("lost");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    setTimeout(connect, 2000);
  };
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 1800);
}

async function copyIdent() {
  const code = $("ident").firstElementChild;
  try {
    await navigator.clipboard.writeText(code.textContent);
    toast(T.copied);
  } catch {
    // Without HTTPS only localhost may use the clipboard; elsewhere the id is shown to be copied by hand.
    toast(code.textContent);
  }
}

function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const rows = [...$("list").querySelectorAll(".row")];
  rows[rows.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}

function start() {
  document.documentElement.lang = locale;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = T[element.dataset.t];
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", T[element.dataset.label]);
  $("app").dataset.view = "list";
  document.title = T.title;
  connected("wait");
  $("list").addEventListener("keydown", moveInList);
  $("ident").addEventListener("click", copyIdent);
  $("fresh").addEventListener("click", toEnd);
  $("scroll").addEventListener("scroll", read, { passive: true });
  $("earlier").addEventListener("click", () => {
    state.limit += PAGE;
    open(state.open, "bottom").catch(() => connected("lost"));
  });
  document.addEventListener("visibilitychange", read);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && location.hash.length > 1) location.hash = "";
  });
  addEventListener("hashchange", async () => {
    await follow().catch(() => connected("lost"));
    if (location.hash.length > 1) $("name").focus({ preventScroll: true });
    else $("list").querySelector(".row")?.focus();
  });
  connect();
}

start();
