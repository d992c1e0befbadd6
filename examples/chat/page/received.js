// What each message of the server does, but `welcome` and `error`: to the session and its conversations first, then to the
// view, which only draws. The messages are those at the top of protocol.js.

import { EVERYONE, personKey, roomKey } from "./talk.js";

const SHOWN_TYPING = 4000; // milliseconds

// The server tells those who are here in no order. Who comes later is put behind them.
const { compare } = new Intl.Collator(undefined, { numeric: true });
export const byName = (a, b) => compare(a.name, b.name);

export const received = {
  joined(session, { room, people }, view) {
    const talk = session.talks.get(roomKey(room));
    if (!talk || !session.wants(room)) {
      session.leaveAgain(room); // given up while the answer was on its way
      return;
    }
    const first = talk.have === null && !talk.lines.length;
    // The page of history that follows a join answers the same question as one that is asked for.
    talk.asked = { newer: { type: "history", room, ...(talk.have === null ? {} : { after: talk.have }) } };
    talk.joined = true;
    talk.people = new Map(people.sort(byName).map(({ name }) => [name, true]));
    for (const { name, idle } of people) session.people.set(name, idle);
    if (first) talk.note("You came in.");
    view.joined(talk);
    session.pending.pump();
  },
  entered(session, { room, name, idle }, view) {
    const talk = session.talks.get(roomKey(room));
    session.people.set(name, idle);
    if (!talk?.joined || talk.people.has(name)) return;
    talk.people.set(name, true);
    view.added(talk, talk.note(" came in.", name));
    view.places();
  },
  left(session, { room, name }, view) {
    const talk = session.talks.get(roomKey(room));
    if (!talk) return;
    if (name === session.me) {
      if (!session.wants(room)) session.left(talk); // else it is being joined again
    } else if (talk.people.delete(name)) view.added(talk, talk.note(" went out.", name));
    talk.typing.delete(name);
    view.places();
  },
  history(session, message, view) {
    const talk = session.talks.get(roomKey(message.room));
    if (!talk?.joined) return;
    const page = talk.page({ ...message, messages: message.messages.map((one) => session.claim(one)) });
    if (page === null) {
      session.anew(talk);
      return;
    }
    if (page.next === "latest") session.ask(talk, { type: "history", room: talk.name });
    else if (page.next !== null) session.ask(talk, { type: "history", room: talk.name, after: page.next });
    if (page.dropped) view.redraw(talk);
    else view.added(talk, page.lines, message.after !== undefined);
  },
  said(session, { room, ...message }, view) {
    const talk = session.talks.get(roomKey(room));
    if (!talk?.joined) return;
    const lines = talk.said(session.claim(message));
    talk.typing.delete(message.from);
    if (lines !== null) view.added(talk, lines, true);
    else if (!talk.asked.newer) session.ask(talk, { type: "history", room });
  },
  ack(session, { id, seq }, view) {
    const entry = session.pending.settle(id);
    if (!entry || entry.kind === "whisper") return;
    const message = { seq, id, from: session.me, text: entry.text, time: entry.time, mine: true };
    const talk = session.talks.get(entry.kind === "say" ? roomKey(entry.to) : EVERYONE);
    if (talk) view.added(talk, entry.kind === "say" ? talk.acknowledged(message) : talk.told(message));
  },
  whispered(session, message, view) {
    const talk = session.talk("person", message.from === session.me ? message.to : message.from);
    view.added(talk, talk.told(session.claim(message)), true);
  },
  shouted(session, message, view) {
    const talk = session.talk("everyone", "Everyone else");
    view.added(talk, talk.told(session.claim(message)), true);
  },
  typing(session, { room, name }, view) {
    const talk = session.talks.get(roomKey(room));
    talk?.typing.set(name, Date.now() + SHOWN_TYPING);
    if (talk) view.typing(talk);
  },
  arrived(session, { name, idle }, view) {
    const back = !session.people.has(name) && session.talks.get(personKey(name));
    session.people.set(name, idle);
    if (back && back.lines.length) view.added(back, back.note(" is here again.", name));
    session.pending.pump();
    view.places();
  },
  gone(session, { name }, view) {
    if (!session.people.delete(name)) return;
    session.pending.strand(name);
    for (const talk of session.talks.values()) {
      talk.typing.delete(name);
      if (talk.people.delete(name)) view.added(talk, talk.note(" went out.", name));
      else if (talk.key === personKey(name) && talk.lines.length) view.added(talk, talk.note(" is no longer here.", name));
    }
    view.places();
  },
  presence(session, { name, idle }, view) {
    if (session.people.has(name)) session.people.set(name, idle);
    view.places();
  },
};
