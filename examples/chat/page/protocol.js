// The chat's messages, and what a page owes them. Each message is one JSON object in one text message of the WebSocket at
// /ws, with a `type`, the word in front. PROTOCOL.md has the rules.
//
// To the server                        From the server
//   hello    {name, secret}              welcome    {id, name, rooms: [R..], people: [{name, idle}..], limits, time}
//   join     {room, after?}              joined     {room, people: [{name, idle}..]}            to the joiner
//                                        entered    {room, name, idle}                          to the others there
//                                        history    as below                                    to the joiner
//   leave    {room}                      left       {room, name}                                to the room
//   say      {id, room, text}            said       {room, seq, id, from, text, time}           to the room
//                                        ack        {id, seq}                                   to the sender
//   history  {room, before?|after?}      history    {room, before?, after?, messages: [..], more}
//   whisper  {id, to, text}              whispered  {id, from, to, text, time}                  to both people
//   shout    {id, text}                  shouted    {id, from, text, time}                      to all others
//                                        ack        {id}                                        to the sender
//   typing   {room}                      typing     {room, name}                                to the others there
//   idle     {idle}                      presence   {name, idle}                                to all others
//                                        arrived    {name, idle}, gone {name}                   to all others
//                                        error      {code, message, id?, room?, retry?}         to the one who asked
//
// `id`s are made by the client: a message is sent again under the same id until its `ack` comes, and stored once. `seq`
// numbers what is stored. The `secret` lets a page that lost its connection take its name over from the dead one.

import { Link } from "./link.js";
import { Pending, kept, randomId } from "./pending.js";
import { byName, received } from "./received.js";
import { EVERYONE, Talk, personKey, roomKey } from "./talk.js";

const KEY = "wireroom.session";
const SENT_TYPING = 3000; // milliseconds

/** One person in the chat, over as many connections as it takes. `view` is told what changed; it only draws. */
export class Session {
  me = null; // my name, once welcomed
  id = null; // of this connection
  secret;
  welcomed = false; // on this connection
  limits = { text: 2000, name: 32, room: 32, rate: 5, burst: 20 };
  people = new Map(); // name -> idle: everybody here, me included
  known = []; // rooms that exist, as far as the server told
  talks = new Map(); // key -> Talk
  #wanted = new Set(); // rooms to be in, also on the next connection
  #asking = null; // the name hello is said with
  #refused = false; // and somebody has to choose another one
  #idle = false;
  #typed = new Map(); // room -> when "typing" was sent
  #view;

  constructor(view) {
    this.#view = view;
    const stored = kept.read(KEY);
    this.secret = /^[\w-]{16,64}$/.test(stored?.secret) ? stored.secret : randomId();
    this.stored = typeof stored?.name === "string" ? { name: stored.name, rooms: stored.rooms ?? [] } : null;
    this.pending = new Pending({
      send: (entry) => this.#send(sentAs(entry)),
      may: (entry) => this.welcomed && this.#reachable(entry),
      changed: (entry) => view.waiting(entry && this.#placeOf(entry)),
    });
    this.link = new Link("/ws?wire", {
      opened: () => this.#hello(),
      received: (message) => this.#receive(message),
      closed: (code, reason) => this.#closed(code, reason),
      changed: () => view.light(),
      owed: () => this.pending.underWay || [...this.talks.values()].some(({ asked }) => asked.join || asked.newer || asked.older),
      quiet: () => this.#probe(),
    });
  }

  // --- What a person does -------------------------------------------------------------------------------------------

  /** Comes in under a name, or tries again under another one. */
  enter(name, rooms) {
    this.#asking = name;
    this.#refused = false;
    for (const room of rooms) this.#wanted.add(room);
    if (this.link.open && !this.welcomed) this.#hello();
    else this.link.start();
  }

  /** Goes on where this tab was before its page was loaded again. */
  resume() {
    this.me = this.stored.name;
    for (const room of this.stored.rooms) this.talk("room", room);
    this.enter(this.me, this.stored.rooms);
  }

  /** Goes out of the chat for good. What waits stays in the tab, for when the same person comes in again. */
  exit() {
    this.link.stop();
    kept.write(KEY, null);
  }

  talk(kind, name) {
    const made = new Talk(kind, name);
    if (!this.talks.has(made.key)) this.talks.set(made.key, made);
    return this.talks.get(made.key);
  }

  join(room) {
    this.#wanted.add(room);
    this.#store();
    if (this.welcomed) this.#join(room);
    else this.talk("room", room);
  }

  leave(talk) {
    this.#wanted.delete(talk.name);
    this.#store();
    if (!talk.joined || !this.#send({ type: "leave", room: talk.name })) this.#left(talk);
  }

  /** Says a text in a room, to a person or to everyone else. False: too much waits already. */
  say(talk, text) {
    this.#typed.delete(talk.name);
    const kind = { room: "say", person: "whisper", everyone: "shout" }[talk.kind];
    return this.pending.add(kind, talk.kind === "everyone" ? null : talk.name, text, this.me);
  }

  /** What waits in a conversation; with `held`, why it has to although there is a connection. */
  waitingIn(talk) {
    if (talk.kind === "room") return this.pending.of("say", talk.name);
    if (talk.kind === "everyone") return this.pending.of("shout", null);
    const held = this.welcomed && !this.people.has(talk.name) ? `Waits until ${talk.name} is here` : undefined;
    return this.pending.of("whisper", talk.name).map((entry) => ({ ...entry, held }));
  }

  #reachable({ kind, to }) {
    if (kind === "say") return this.talks.get(roomKey(to))?.joined === true;
    return kind !== "whisper" || this.people.has(to);
  }

  writes(talk) {
    const now = Date.now();
    if (talk.kind !== "room" || !talk.joined || Math.abs(now - (this.#typed.get(talk.name) ?? 0)) < SENT_TYPING) return;
    this.#typed.set(talk.name, now);
    this.#send({ type: "typing", room: talk.name });
  }

  idle(idle) {
    if (idle === this.#idle) return;
    this.#idle = idle;
    if (this.welcomed) this.#send({ type: "idle", idle });
  }

  /** Asks for the page before a room's first line; whether there is one to come. */
  older(talk) {
    if (!talk.joined || !talk.caughtUp || !talk.older || talk.asked.older || talk.first === undefined) return false;
    return this.#ask(talk, "older", { type: "history", room: talk.name, before: talk.first });
  }

  // --- The connection -----------------------------------------------------------------------------------------------

  #send(message) {
    const text = this.link.send(message);
    if (text !== null) this.#view.sent(message, text);
    return text !== null;
  }

  /** Sends what will be answered, and keeps it until it is. */
  #ask(talk, what, message) {
    if (!this.#send(message)) return false;
    talk.asked[what] = message;
    return true;
  }

  #hello() {
    if (!this.#refused) this.#send({ type: "hello", name: this.#asking, secret: this.secret });
  }

  #join(room) {
    const talk = this.talk("room", room);
    this.#ask(talk, "join", talk.have === null ? { type: "join", room } : { type: "join", room, after: talk.have });
  }

  /** Something that will be answered, to see whether anything is; it also shows whether a message was missed. */
  #probe() {
    const talk = [...this.talks.values()].find(({ joined, caughtUp }) => joined && caughtUp);
    if (talk) this.#ask(talk, "newer", { type: "history", room: talk.name, after: talk.have });
  }

  #closed(code, reason) {
    this.welcomed = false;
    this.people.clear();
    for (const talk of this.talks.values()) talk.lost();
    if (code === 1009) this.pending.refuseUnderWay("the server found it too big");
    this.pending.lost();
    this.#view.closed(code, reason);
    if (code === 4001 || this.#refused || this.me === null) return "stop";
    // Our own fault, or the server's policy: coming back at once would only do it again.
    return [1002, 1003, 1007, 1008, 1009, 4002, 4003].includes(code) ? "slowly" : "again";
  }

  #store() {
    kept.write(KEY, { name: this.me, secret: this.secret, rooms: [...this.#wanted] });
  }

  #left(talk) {
    this.talks.delete(talk.key);
    this.#view.left(talk);
  }

  // --- What the server says -----------------------------------------------------------------------------------------

  #receive(message) {
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "error") this.#error(message);
    else if (this.welcomed && Object.hasOwn(received, message.type)) received[message.type](this, message, this.#view);
  }

  #welcome({ id, name, rooms, people, limits }) {
    const before = this.me;
    Object.assign(this, { id, me: name, known: rooms, limits, welcomed: true });
    this.people = new Map(people.sort(byName).map((one) => [one.name, one.idle]));
    this.pending.owner(name, before ?? name);
    for (const { kind, to, state } of this.pending) {
      if (kind !== "say") continue;
      if (state === "pending") this.#wanted.add(to);
      else this.talk("room", to); // where it can be seen, and offered back
    }
    this.#store();
    this.pending.connected(limits);
    this.link.ready();
    this.talk("everyone", "Everyone else");
    this.#view.welcomed(before);
    for (const room of this.#wanted) this.#join(room);
    if (this.#idle) this.#send({ type: "idle", idle: true });
    this.pending.pump();
  }

  #error({ code, message, id, room, retry }) {
    if (!this.welcomed && retry !== undefined) {
      setTimeout(() => this.link.open && !this.welcomed && this.#hello(), retry);
      return;
    }
    if (!this.welcomed) {
      this.#refused = true;
      this.#view.refused(code, message);
      return;
    }
    const talk = room === undefined ? undefined : this.talks.get(roomKey(room));
    if (id !== undefined && this.pending.has(id)) {
      if (retry === undefined) this.pending.fail(id, message);
      else this.pending.hold(id, retry, code === "rate", message);
    } else if (retry !== undefined) {
      if (talk) this.#askAgain(talk, retry);
      else setTimeout(() => this.welcomed && this.#send({ type: "idle", idle: this.#idle }), retry + 250);
    } else if (code === "already_in") {
      // Asked twice: the answer to the first is on its way.
    } else {
      if (talk?.asked.join) {
        this.#wanted.delete(room);
        this.#store();
        if (!talk.lines.length && !this.waitingIn(talk).length) this.#left(talk);
      }
      if (talk) talk.asked = {};
      this.#view.trouble(message);
    }
  }

  /** What was asked and put off by the server, for one room or (it did not say for which) for all. */
  #askAgain(talk, wait) {
    const { id } = this;
    setTimeout(() => {
      if (this.id !== id || !this.welcomed) return;
      for (const { asked } of talk ? [talk] : this.talks.values()) {
        for (const message of Object.values(asked)) if (message) this.#send(message);
      }
    }, wait + Math.random() * 250);
  }

  /** The server's history is not the one we knew: what we show is forgotten, what it has is asked for. */
  anew(talk) {
    talk.reset();
    this.#view.redraw(talk);
    this.#ask(talk, "newer", { type: "history", room: talk.name });
  }

  ask(talk, message) {
    this.#ask(talk, "newer", message);
  }

  wants(room) {
    return this.#wanted.has(room);
  }

  /** Whether it is mine: by its name, or because it waits here still (and now no longer does). */
  claim(message) {
    // By the text too: others have seen the ids of messages to them, and may write under the same.
    const waited = this.pending.text(message.id) === message.text && this.pending.settle(message.id) !== null;
    return { ...message, mine: waited || message.from === this.me };
  }

  left(talk) {
    this.#left(talk);
  }

  leaveAgain(room) {
    this.#send({ type: "leave", room });
  }

  #placeOf({ kind, to }) {
    return { say: () => roomKey(to), whisper: () => personKey(to), shout: () => EVERYONE }[kind]();
  }
}

const sentAs = ({ kind, id, to, text }) => ({
  say: { type: "say", id, room: to, text }, whisper: { type: "whisper", id, to, text }, shout: { type: "shout", id, text },
}[kind]);
