// The chat's page: one WebSocket, JSON text messages, no framework and no build step.
//
// To the server                              From the server
//   hello    {name}                            welcome    {id, name, rooms: [R..], people: [{id, name}..]}
//   join     {room}                            joined     {room, name, people: [N..]}      to the room
//   leave    {room}                            left       {room, name, people: [N..]}      to the room
//   say      {room, text}                      said       {room, from, text, time}         to the room
//   whisper  {to, text}                        whispered  {from, to, text, time}           to both people
//   shout    {text}                            shouted    {from, text, time}               to all others
//                                              people     {people: [{id, name}..]}         on every change
//                                              error      {message}                        to the one who asked
//
// Each also has a `type`, the word in front. PROTOCOL.md has the rules. Whatever a person wrote reaches the page by
// `textContent` alone, so a name or a message is never markup.

const $ = (id) => document.getElementById(id);

/** An element with a class and what it holds: text, or other elements. */
function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

// --- What this page knows -----------------------------------------------------------------------------------------

const EVERYONE = "everyone";
const roomKey = (room) => `room:${room}`;
const personKey = (name) => `person:${name}`;

let socket = null;
let me = null; // my name, once welcomed for the first time
let welcomed = false; // on this connection
let people = []; // [{id, name}], everybody here, me included
let current = null; // the key of the conversation on screen
const members = new Map(); // room -> names; the rooms I am in
const talks = new Map(); // key -> {kind, name, lines, unread}
const wanted = new Set(); // rooms to come back to after a lost connection

function talk(kind, name) {
  const key = kind === "room" ? roomKey(name) : kind === "person" ? personKey(name) : EVERYONE;
  if (!talks.has(key)) talks.set(key, { key, kind, name, lines: [], unread: 0 });
  return talks.get(key);
}

// --- The connection -----------------------------------------------------------------------------------------------

function connect(name) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(`${scheme}//${location.host}/ws`);
  socket = opened;
  light("connecting", "Connecting");
  opened.addEventListener("open", () => {
    light("connecting", "Saying hello");
    send({ type: "hello", name });
  });
  opened.addEventListener("message", ({ data }) => {
    if (socket === opened && typeof data === "string") receive(JSON.parse(data));
  });
  opened.addEventListener("close", ({ code, reason }) => {
    if (socket === opened) closed(code, reason);
  });
}

/** Sends one message, and shows what it stands for. */
function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const text = JSON.stringify(message);
  socket.send(text);
  showCall(message, frame(text));
}

function receive(message) {
  if (!welcomed && message.type !== "welcome" && message.type !== "error") return;
  received[message.type]?.(message);
}

const received = {
  welcome({ name, rooms, people: here }) {
    me = name;
    welcomed = true;
    people = here;
    light("open", "Connected");
    $("me").textContent = name;
    $("me").hidden = $("house").hidden = false;
    $("door").hidden = $("gone").hidden = true;
    $("error").textContent = "";
    document.title = `${name} · wireroom chat`;
    $("known").replaceChildren(...rooms.map((room) => Object.assign(element("option"), { value: room })));
    talk("everyone", "Everyone else");
    for (const room of wanted) send({ type: "join", room });
    render();
  },
  joined({ room, name, people: names }) {
    const known = members.has(room);
    if (name !== me && !known) return;
    members.set(room, names);
    wanted.add(room);
    note(talk("room", room), name === me ? "You came in." : `${name} came in.`);
    if (name === me && !known) open(roomKey(room));
    render();
  },
  left({ room, name, people: names }) {
    if (name === me) {
      members.delete(room);
      wanted.delete(room);
      talks.delete(roomKey(room));
      if (current === roomKey(room)) open(members.size ? roomKey([...members.keys()].at(-1)) : EVERYONE);
    } else if (members.has(room)) {
      members.set(room, names);
      note(talk("room", room), `${name} went out.`);
    }
    render();
  },
  said({ room, from, text, time }) {
    line(talk("room", room), from, text, time);
  },
  whispered({ from, to, text, time }) {
    line(talk("person", from === me ? to : from), from, text, time);
  },
  shouted({ from, text, time }) {
    line(talk("everyone", "Everyone else"), from, text, time);
  },
  people({ people: here }) {
    const now = new Set(here.map(({ name }) => name));
    const before = new Set(people.map(({ name }) => name));
    for (const { kind, name, lines, key } of talks.values()) {
      if (kind !== "person" || !lines.length) continue;
      if (before.has(name) && !now.has(name)) note(talks.get(key), `${name} is no longer here.`);
      if (!before.has(name) && now.has(name)) note(talks.get(key), `${name} is here again.`);
    }
    people = here;
    render();
  },
  error({ message }) {
    $("refusal").textContent = $("error").textContent = message;
  },
};

// RFC 6455 section 7.4.1, in words.
const CLOSE_CODES = {
  1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
  1005: "no status received", 1006: "no Close frame", 1007: "invalid payload", 1008: "policy violation",
  1009: "message too big", 1011: "internal error", 1012: "service restart", 1013: "try again later",
};

function closed(code, reason) {
  const why = `${code}, ${reason || CLOSE_CODES[code] || "no reason given"}`;
  socket = null;
  welcomed = false;
  showCall({ type: "close", why }, closeFrame(code, reason));
  light("closed", "Not connected");
  if (!me) {
    $("refusal").textContent = `The connection was closed (${why}).`;
    return;
  }
  for (const room of members.keys()) note(talk("room", room), `The connection was closed (${why}).`);
  members.clear();
  people = [];
  $("why").textContent = `Closed: ${why}.`;
  $("gone").hidden = false;
  render();
  $("log").scrollTop = $("log").scrollHeight;
}

// --- The conversations --------------------------------------------------------------------------------------------

function line(where, from, text, time) {
  where.lines.push({ from, text, time });
  arrived(where, from !== me);
}

function note(where, text) {
  where.lines.push({ text, time: Date.now() });
  arrived(where, false);
}

function arrived(where, counts) {
  const latest = where.lines.at(-1);
  if (where.key === current) {
    const log = $("log");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    log.append(renderLine(latest, where.lines.at(-2)));
    if (atEnd || latest.from === me) log.scrollTop = log.scrollHeight;
  }
  if (counts && (where.key !== current || document.body.dataset.view !== "talk")) where.unread += 1;
  renderPlaces();
}

function open(key) {
  current = key;
  view("talk");
  const where = talks.get(key);
  where.unread = 0;
  $("log").replaceChildren(...where.lines.map((one, at) => renderLine(one, where.lines[at - 1])));
  $("log").scrollTop = $("log").scrollHeight;
  $("error").textContent = "";
  render();
  if (matchMedia("(hover: hover)").matches) $("text").focus();
}

// --- The page -----------------------------------------------------------------------------------------------------

function light(state, words) {
  $("light").dataset.state = state;
  $("light").textContent = words;
}

/** On a narrow screen one of the three columns is shown; on a wide one all of them are. */
function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === name));
  }
  if (name === "talk" && talks.has(current)) talks.get(current).unread = 0;
  renderPlaces();
}

function render() {
  renderPlaces();
  renderTalk();
}

function renderPlaces() {
  const focused = document.activeElement?.dataset.key; // the list is made anew: whoever is on it with the keyboard stays
  $("rooms").replaceChildren(...[...members].map(([room, names]) => place(talk("room", room), `#${room}`, names.length)));
  $("everyone").replaceChildren(place(talk("everyone", "Everyone else"), "Everyone else"));
  const present = people.map(({ name }) => name).filter((name) => name !== me);
  const absent = [...talks.values()]
    .filter(({ kind, name, lines }) => kind === "person" && lines.length && !present.includes(name))
    .map(({ name }) => name);
  $("people").replaceChildren(...present.concat(absent).map((name) => {
    const item = place(talk("person", name), name);
    item.classList.toggle("absent", !present.includes(name));
    return item;
  }));
  $("count").textContent = people.length ? String(people.length) : "";
  const unread = [...talks.values()].reduce((sum, one) => sum + one.unread, 0);
  $("elsewhere").textContent = String(unread);
  $("elsewhere").hidden = unread === 0;
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** One conversation in the list: where it leads, how many are there, how many messages were not read. */
function place(where, words, size) {
  const button = element("button", "", where.kind === "person" ? face(where.name) : "", element("span", "name", words));
  button.type = "button";
  button.dataset.key = where.key;
  if (where.key === current) button.setAttribute("aria-current", "true");
  if (size) button.append(countOf(size, size === 1 ? "person" : "people", "size"));
  if (where.unread) button.append(countOf(where.unread, "not read", "unread"));
  button.addEventListener("click", () => open(where.key));
  return element("li", "", button);
}

function countOf(count, what, className) {
  return element("span", className, String(count), element("span", "hidden", ` ${what}`));
}

function renderTalk() {
  const where = talks.get(current);
  if (!where) return;
  const { kind, name } = where;
  const here = kind === "person" ? people.some((one) => one.name === name) : socket !== null;
  $("title").textContent = kind === "room" ? `#${name}` : name;
  $("about").textContent = {
    room: () => (members.get(name) ?? []).map((one) => (one === me ? "you" : one)).join(", "),
    person: () => (here ? "Between the two of you" : "Not here"),
    everyone: () => "Reaches everybody but you, whatever rooms they are in",
  }[kind]();
  $("leave").hidden = kind !== "room" || !members.has(name);
  $("text").placeholder = { room: `Message #${name}`, person: `Message ${name} alone`, everyone: "Message everyone else" }[kind];
  const able = here && (kind !== "room" || members.has(name));
  for (const part of $("say").elements) part.disabled = !able;
  for (const part of $("join").elements) part.disabled = socket === null;
}

function renderLine({ from, text, time }, before) {
  if (from === undefined) return element("div", "note", text);
  const when = element("time", "", new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  when.dateTime = new Date(time).toISOString();
  const mine = from === me;
  const follows = before?.from === from && time - before.time < 300_000;
  const said = element("div", `line${mine ? " mine" : ""}${follows ? " follows" : ""}`);
  const head = element("p", "from", element("b", "", mine ? "You" : from), " ", when);
  said.append(mine ? "" : face(from), element("div", "bubble", head, element("p", "text", text)));
  return said;
}

/** A person's first letter on one of eight colours, the same on every page. */
function face(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  const made = element("span", `face hue-${(hash >>> 8) % 8}`, [...name][0].toUpperCase());
  made.setAttribute("aria-hidden", "true");
  return made;
}

// --- What Socket.IO hides -----------------------------------------------------------------------------------------

const quoted = (text) => JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text);

// For each message of ours: what it is, the server's call in Socket.IO, and the server's call here.
const CALLS = {
  hello: ({ name }) => [
    `Say hello as ${name}`,
    `io.on("connection",\n  (socket) => ..)\nsocket.emit("welcome", ..)`,
    `Event::Open => ..\nsocket.emit(welcome)`,
  ],
  join: ({ room }) => [`Join #${room}`, `socket.join(${quoted(room)})`, `socket.join(${quoted(room)})`],
  leave: ({ room }) => [`Leave #${room}`, `socket.leave(${quoted(room)})`, `socket.leave(${quoted(room)})`],
  say: ({ room, text }) => [
    `Talk to #${room}`,
    `io.to(${quoted(room)})\n  .emit("said", ${quoted(text)})`,
    `socket.to(${quoted(room)})\n  .including_me().emit(said)`,
  ],
  whisper: ({ to, text }) => [
    `Talk to ${to} alone`,
    `socket.to(socketId)\n  .emit("whispered", ${quoted(text)})`,
    `socket.to(id).emit(whispered)`,
  ],
  shout: ({ text }) => [
    "Talk to everyone else",
    `socket.broadcast\n  .emit("shouted", ${quoted(text)})`,
    `socket.broadcast().emit(shouted)`,
  ],
  close: ({ why }) => [
    `Closed: ${why}`,
    `socket.on("disconnect",\n  (reason) => ..)`,
    `Event::Closed(closed) => ..`,
  ],
};

function showCall(message, wire) {
  const [title, hidden, shown] = CALLS[message.type](message);
  const list = element("dl");
  for (const [term, code] of [["Socket.IO", hidden], ["wireroom", shown], ["The wire", wire]]) {
    list.append(element("dt", "", term), element("dd", "", element("code", "", code)));
  }
  $("calls").prepend(element("li", "", element("h3", "", title), list));
  while ($("calls").children.length > 50) $("calls").lastChild.remove();
}

/** The frame of a text message from a browser: RFC 6455 section 5.2. Only a negotiated extension would change it. */
function frame(text) {
  const length = new TextEncoder().encode(text).length;
  const hex = (value, digits) => value.toString(16).padStart(digits, "0").replace(/..(?=.)/g, "$& ");
  const extended = length < 126 ? hex(0x80 | length, 2) : length < 65536 ? `fe ${hex(length, 4)}` : `ff ${hex(length, 16)}`;
  return `81 ${extended} <4-byte masking key>\n${text}`;
}

/** The Close frame that came from the server: RFC 6455 section 5.5.1. */
function closeFrame(code, reason) {
  if (code === 1006) return "no Close frame came";
  if (code === 1005) return "88 00";
  const length = 2 + new TextEncoder().encode(reason).length;
  return `88 ${length.toString(16).padStart(2, "0")} ${code.toString(16).padStart(4, "0").replace(/..(?=.)/, "$& ")} ${reason}`.trim();
}

// --- What a person does -------------------------------------------------------------------------------------------

$("hello").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  const room = $("first").value.trim();
  if (!name || !room) return;
  $("refusal").textContent = "";
  wanted.clear();
  wanted.add(room);
  if (socket?.readyState === WebSocket.OPEN) send({ type: "hello", name });
  else connect(name);
});

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = $("room").value.trim();
  if (!room) return;
  $("room").value = "";
  if (members.has(room)) open(roomKey(room));
  else send({ type: "join", room });
});

$("leave").addEventListener("click", () => send({ type: "leave", room: talks.get(current).name }));

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  const { kind, name } = talks.get(current);
  if (!text) return;
  $("error").textContent = "";
  $("text").value = "";
  if (kind === "room") send({ type: "say", room: name, text });
  else if (kind === "person") send({ type: "whisper", to: name, text });
  else {
    // The server does not send a shout back to the one who shouts, so the page writes it down itself.
    send({ type: "shout", text });
    line(talks.get(EVERYONE), me, text, Date.now());
  }
});

// Enter sends, Shift and Enter breaks the line; an input method's own Enter is left alone.
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});

$("again").addEventListener("click", () => {
  if (socket?.readyState === WebSocket.OPEN) send({ type: "hello", name: me });
  else connect(me);
});

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => view(button.dataset.show));
}
