// The chat's page: what a person does goes to the session (protocol.js), what the session tells is drawn.
//
//   protocol.js  the messages, and one person's session    log.js       the lines of the conversation on screen
//   received.js  what each message of the server does      places.js    the lists of rooms and people
//   link.js      a WebSocket that comes back               composer.js  the field one writes in
//   pending.js   what is not acknowledged yet              wire.js      the panel beside it: calls.js and frames.js
//   talk.js      a conversation's lines, in order          dom.js       making elements

import { Composer, wellFormed } from "./composer.js";
import { $, aside, closeWords, named, plural, say } from "./dom.js";
import { Log } from "./log.js";
import { kept } from "./pending.js";
import { Places } from "./places.js";
import { Session } from "./protocol.js";
import { EVERYONE, KEPT, roomKey } from "./talk.js";
import { Wire } from "./wire.js";

const IDLE = 300_000; // milliseconds without a touch of keyboard or pointer
const IDLE_HIDDEN = 60_000;
const NAMES = 8; // of a room's people, in words

let current = null; // the key of the conversation on screen
let opening = null; // the room that somebody asked for, and that is shown when we are in it
let drawing = 0;

// --- What the session tells ---------------------------------------------------------------------------------------

const view = {
  light,
  welcomed(before) {
    for (const id of ["me", "house", "panel"]) $(id).hidden = false;
    for (const id of ["door", "rename"]) $(id).hidden = true;
    say($("me"), session.me);
    trouble("");
    if (before && before !== session.me) redraw(session.talks.get(current));
    wire.watch(session.id, session.secret);
    draw();
  },
  refused(code, message) {
    if ($("house").hidden) {
      say($("refusal"), `${sentence(message)} Choose another name.`);
      $("name").focus();
      return;
    }
    const waits = [...session.pending].filter(({ state }) => state === "pending").length;
    say($("renaming"), `${sentence(message)} Choose another name to come back. ${waits ? `${plural(waits, "message")} waiting here will go out under it.` : ""}`);
    $("rename").hidden = false;
    light();
    $("another").value = session.me;
    $("another").select();
  },
  closed(code, reason) {
    if ($("house").hidden && !$("refusal").textContent) {
      say($("refusal"), code === 1006 ? "The server cannot be reached. Try again in a moment." : `The connection was closed (${closeWords(code, reason)}).`);
    }
    wire.ended(code, reason);
    drawTyping();
    draw();
  },
  joined(talk) {
    if (opening === talk.name) open(talk.key);
    else if (current === null) show(talk.key);
    draw();
  },
  left(talk) {
    if (current === talk.key) {
      const rooms = [...session.talks.values()].filter(({ kind }) => kind === "room");
      show(rooms.at(-1)?.key ?? EVERYONE);
    }
    draw();
  },
  added(talk, lines, said = false) {
    if (said) count(talk, lines.filter(({ note, mine }) => note === undefined && !mine));
    if (talk.key === current) {
      log.added(lines, said);
      drawTyping();
    }
    // Who reads further up keeps the place, within reason.
    const mayTrim = talk.key !== current || log.atEnd || document.hidden || talk.lines.length > 4 * KEPT;
    if (mayTrim && talk.trim()) redraw(talk);
    if (said || talk.key === current) draw();
  },
  redraw,
  waiting(key) {
    if (key === current) log.waiting();
    if (session.pending.paced || slowed) trouble(session.pending.paced);
    slowed = session.pending.paced !== "";
    light();
    draw();
  },
  typing: (talk) => {
    setTimeout(drawTyping, 4050);
    if (talk.key === current) drawTyping();
  },
  places: () => draw(),
  trouble(message) {
    trouble(sentence(message));
    if (current === null) show(EVERYONE);
  },
  sent: (message, text) => wire.sent(message, text),
};

let slowed = false; // the words of the queue are on screen
const wire = new Wire();
const session = new Session(view);
const log = new Log($("log"), $("latest"), {
  older: (talk) => session.older(talk),
  waitingIn: (talk) => session.waitingIn(talk),
  edit: (id) => composer.offer(session.pending.settle(id).text),
  discard: (id) => session.pending.settle(id),
  again: (id) => session.pending.again(id, session.me),
});
const places = new Places(open, join);
const composer = new Composer({ send, writes: () => session.writes(session.talks.get(current)), trouble });

// --- What is on screen --------------------------------------------------------------------------------------------

/** Shows a conversation, because somebody chose it. */
function open(key) {
  if (key.startsWith("person:")) session.talk("person", key.slice("person:".length));
  show(key);
  look("talk");
  if (matchMedia("(hover: hover)").matches) composer.focus();
}

function show(key) {
  const before = session.talks.get(current);
  if (before && key !== current) before.mark = null;
  current = key;
  opening = null;
  kept.write("wireroom.current", key);
  const talk = session.talk(...kindOf(key));
  log.show(talk);
  trouble("");
  read();
  drawNow(); // what is written next goes here
  if (document.body.dataset.view === "places") look("talk");
}

const kindOf = (key) => (key === EVERYONE ? ["everyone", "Everyone else"] : [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)]);

function redraw(talk) {
  if (talk?.key === current) log.show(talk);
}

/** On a narrow screen one of the three columns is shown; on a wide one all of them are. */
function look(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === name));
  }
  wire.look();
  read();
  draw();
}

const talkInSight = () => document.body.dataset.view === "talk" || matchMedia("(min-width: 44.01rem)").matches && document.body.dataset.view === "places";

/** Counts what was said where nobody looks, and marks the first of it. */
function count(talk, lines) {
  if (!lines.length || (talk.key === current && !document.hidden && talkInSight())) return;
  if (talk.unread === 0) {
    const before = talk.mark;
    [talk.mark] = lines;
    if (talk.key === current && before) log.marked(before);
  }
  talk.unread += lines.length;
}

function read() {
  const talk = session.talks.get(current);
  if (talk && !document.hidden && talkInSight()) talk.unread = 0;
}

/** Draws the lists and the frame around the talk, once for all that happens in a moment. */
function draw() {
  drawing ||= setTimeout(drawNow, 20);
}

function drawNow() {
  clearTimeout(drawing);
  drawing = 0;
  places.draw(session, current);
  drawTalk();
  drawUnread();
}

function drawTalk() {
  const talk = session.talks.get(current);
  if (!talk) return;
  const { kind, name } = talk;
  const away = session.welcomed && kind === "person" && !session.people.has(name);
  const wanted = kind !== "room" || session.wants(name);
  const title = { room: `#${name}`, person: name, everyone: "Everyone else" }[kind];
  say($("title"), title);
  if (kind === "person") log.waiting(); // it may have to wait for them
  const about = {
    room: () => people([...talk.people.keys()]),
    person: () => (away ? ["Not here"] : ["Between the two of you; kept nowhere"]),
    everyone: () => ["Reaches everybody but you, whatever rooms they are in; kept nowhere"],
  }[kind]();
  $("about").replaceChildren(...about);
  $("leave").hidden = kind !== "room";
  const placeholder = { room: `Message #${name}`, person: `Message ${name} alone`, everyone: "Message everyone else" }[kind];
  composer.show(current, placeholder, wanted && !away, session.limits.text);
}

/** A room's people in words, those who are idle set apart. */
function people(names) {
  const shown = names.length > NAMES ? names.slice(0, NAMES - 1) : names;
  const words = shown.flatMap((name, at) => {
    const idle = session.people.get(name) === true;
    const one = named(name === session.me ? "you" : name, idle ? "idle" : "");
    return [...(at ? [", "] : []), one, ...(idle ? [aside(" (idle)")] : [])];
  });
  return shown.length < names.length ? [...words, ` and ${(names.length - shown.length).toLocaleString()} more`] : words;
}

function drawUnread() {
  const unread = [...session.talks.values()].reduce((sum, one) => sum + one.unread, 0);
  say($("elsewhere"), String(unread));
  $("elsewhere").hidden = unread === 0;
  const title = `${unread ? `(${unread}) ` : ""}${session.me ? `${session.me} · ` : ""}wireroom chat`;
  if (document.title !== title) document.title = title;
}

function drawTyping() {
  const talk = session.talks.get(current);
  const names = [...talk?.typing ?? []].filter(([name, until]) => until > Date.now() && name !== session.me).map(([name]) => name);
  const words = names.length === 0 ? [] : names.length === 1 ? [named(names[0]), " is typing"]
    : names.length === 2 ? [named(names[0]), " and ", named(names[1]), " are typing"] : ["Several people are typing"];
  $("typing").replaceChildren(...words);
}

function trouble(words) {
  say($("error"), words);
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");

// --- The connection light -----------------------------------------------------------------------------------------

function light() {
  const { link, me } = session;
  const refused = !$("rename").hidden;
  $("light").dataset.state = link.state;
  const back = me !== null && link.why !== null;
  say($("state"), {
    open: "Connected",
    connecting: refused ? "Not here yet" : link.open ? "Saying hello" : back ? "Reconnecting" : "Connecting",
    waiting: navigator.onLine ? "Reconnecting" : "Offline",
    closed: "Not connected",
  }[link.state]);
  countdown();
  $("gone").hidden = link.state === "open" || !back || refused;
  if ($("gone").hidden) return;
  const replaced = link.state === "closed" && link.why.code === 4001;
  const waits = [...session.pending].filter(({ state }) => state === "pending").length;
  const why = `Connection lost (${closeWords(link.why.code, link.why.reason)}).`;
  say($("why"), replaced ? "You came in elsewhere, so this page let go (4001, replaced)."
    : link.state === "closed" ? why : waits ? `${why} ${plural(waits, "message waits", "messages wait")}.` : why);
  say($("again"), replaced ? "Use it here" : link.state === "closed" ? "Connect again" : "Try now");
  $("again").disabled = link.state === "connecting";
}

function countdown() {
  const left = Math.ceil((session.link.until - Date.now()) / 1000);
  say($("countdown"), session.link.state === "waiting" && left > 1 ? ` in ${left} s` : "");
}

setInterval(countdown, 250);

// --- What a person does -------------------------------------------------------------------------------------------

const written = (id) => wellFormed($(id).value.trim());

$("hello").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!written("name") || !written("first")) return;
  say($("refusal"), "");
  opening = written("first");
  session.enter(written("name"), [opening]);
});

$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!written("another")) return;
  $("rename").hidden = true;
  session.enter(written("another"), []);
  light();
});

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = written("room");
  $("room").value = "";
  if (room) join(room);
});

function join(room) {
  const known = session.talks.get(roomKey(room));
  if (known && session.wants(room)) {
    open(known.key);
    return;
  }
  opening = room;
  session.join(room);
  if (!session.welcomed) open(roomKey(room));
}

$("leave").addEventListener("click", () => {
  const talk = session.talks.get(current);
  const waits = session.waitingIn(talk);
  const words = `${plural(waits.length, "message")} of yours ${waits.length === 1 ? "is" : "are"} not sent here. Press again to leave without.`;
  if (waits.length && $("error").textContent !== words) {
    trouble(words);
    return;
  }
  for (const { id } of waits) session.pending.settle(id);
  session.leave(talk);
});

function send(text) {
  if (!session.say(session.talks.get(current), text)) {
    trouble("Too many messages wait to be sent. Keep this one here until some have left.");
    return false;
  }
  trouble(session.pending.paced);
  log.waiting(true);
  return true;
}

$("again").addEventListener("click", () => session.enter(session.me, []));

$("exit").addEventListener("click", () => {
  const waits = [...session.pending].length;
  const words = `Go out, ${waits} not sent`;
  if (waits && $("exit").textContent !== words) {
    say($("exit"), words);
    return;
  }
  session.exit();
  location.reload();
});

for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => look(button.dataset.show));

document.addEventListener("visibilitychange", () => {
  read();
  draw();
});

// --- Whether anybody is at the keyboard ---------------------------------------------------------------------------

let touched = Date.now();
let hiddenSince = null;

function touch() {
  touched = Date.now();
  session.idle(false);
}

for (const type of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "input"]) addEventListener(type, touch, { passive: true });
document.addEventListener("visibilitychange", () => {
  hiddenSince = document.hidden ? Date.now() : null;
  if (!document.hidden) touch();
});
setInterval(() => {
  const now = Date.now();
  if (now - touched > IDLE || (hiddenSince !== null && now - hiddenSince > IDLE_HIDDEN)) session.idle(true);
}, 5000);

// --- Coming in ----------------------------------------------------------------------------------------------------

addEventListener("online", light);
addEventListener("offline", light);

if (session.stored) {
  for (const id of ["me", "house", "panel"]) $(id).hidden = false;
  say($("me"), session.stored.name);
  session.resume();
  const key = kept.read("wireroom.current");
  const rooms = session.stored.rooms;
  if (typeof key === "string" && (key === EVERYONE || key.startsWith("person:") || session.talks.has(key))) show(key);
  else show(rooms.length ? roomKey(rooms[0]) : EVERYONE);
} else {
  $("door").hidden = false;
  $("name").focus();
}
