// One conversation: a room, a person, or everyone. It keeps its lines in order, shows none of them twice, and, for a
// room, knows what it has of the room's history. Nothing in here touches the page or the network.
//
// The order in a room is that of `seq`. `have` is the seq up to which nothing is missing: history pages move it until the
// server says there is no more, then every message that is said does. A message that is said while pages are still
// coming takes its place in the order, but does not move `have` over the gap before it.

export const KEPT = 5000; // lines of one conversation; older ones go, and come back when somebody scrolls to them
const PAGES = 60; // of history after a lost connection; who missed more starts from the latest page

export const roomKey = (room) => `room:${room}`;
export const personKey = (name) => `person:${name}`;
export const EVERYONE = "everyone";

export class Talk {
  /** In order: {seq?, id, from, text, time, mine} or {note, time}; each with `order`, its place. */
  lines = [];
  unread = 0;
  /** Who writes: name -> until when to show it. */
  typing = new Map();
  // Of a room:
  people = new Map(); // name -> true
  joined = false; // on this connection
  have = null;
  caughtUp = false;
  older = false; // the server has more before the first line
  /** What was asked for and has not come: {join, newer, older}. */
  asked = {};
  #bySeq = new Map();
  #ids = new Set();
  #held = []; // notes that wait for the history they belong behind
  #pages = 0;

  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.key = kind === "room" ? roomKey(name) : kind === "person" ? personKey(name) : EVERYONE;
    if (kind !== "room") this.caughtUp = true;
  }

  /** The connection is gone: nobody is here, and what was asked for will not come. */
  lost() {
    this.people.clear();
    this.typing.clear();
    this.joined = false;
    this.asked = {};
    this.#pages = 0;
    if (this.kind === "room") this.caughtUp = false;
  }

  /** Forgets every line: what the server has is not what it had. */
  reset() {
    this.lines = [];
    this.#bySeq.clear();
    this.#ids.clear();
    this.have = null;
    this.caughtUp = false;
    this.older = false;
  }

  /** A line that is no message, about somebody or nobody. The notes of a room wait until its history is here. */
  note(words, who = "") {
    const note = { note: words, who, time: Date.now() };
    if (!this.caughtUp) {
      this.#held.push(note);
      return [];
    }
    this.#place(note);
    return [note];
  }

  /** What a person or everyone else was told: in the order it came. The lines that are new. */
  told(message) {
    if (this.#ids.has(message.id)) return [];
    this.#place(message);
    return [message];
  }

  /**
   * A message as it was said in the room. The lines that are new, or null for one that comes before what is complete: it is
   * among what scrolling back brings, or the server has begun a new history. Its latest page tells.
   */
  said(message) {
    const known = this.#bySeq.get(message.seq);
    if (known?.id === message.id) return this.#settle(known, message);
    if (known || this.#ids.has(message.id) || (this.caughtUp && this.have !== null && message.seq < this.have)) return null;
    this.#place(message);
    if (this.caughtUp) this.have = message.seq;
    return [message];
  }

  /** A message of ours that the server has: shown from our own copy until history brings the server's. */
  acknowledged(message) {
    if (this.#bySeq.has(message.seq) || this.#ids.has(message.id)) return [];
    const first = this.lines.find(({ seq }) => seq !== undefined);
    if (this.older && first && message.seq < first.seq) return []; // among what scrolling back brings
    this.#place({ ...message, ours: true });
    return [this.#bySeq.get(message.seq)];
  }

  /**
   * One page of history. `lines`: what is new; `dropped`: older lines were left out, the log is to be drawn anew;
   * `next`: the seq to ask after, "latest", or null. Null in place of it all for a page of another history.
   */
  page({ before, after, messages, more }) {
    let dropped = false;
    const last = messages.at(-1)?.seq;
    // Not ours: a seq with another id, or a latest page that ends before what we had from the server already.
    if (messages.some((one) => (this.#bySeq.get(one.seq)?.id ?? one.id) !== one.id)) return null;
    if (before === undefined && after === undefined && (last ?? 0) < (this.have ?? 0)) return null;
    if (before !== undefined) {
      this.asked.older = undefined;
      this.older = more;
    } else {
      this.asked.newer = undefined;
      if (after === undefined) {
        dropped = more && this.#dropBefore(messages[0]?.seq ?? 0);
        this.older = more;
        this.#pages = 0;
      }
    }
    const lines = [];
    for (const message of messages) {
      const known = this.#bySeq.get(message.seq);
      if (known) this.#settle(known, message);
      else {
        this.#place(message);
        lines.push(message);
      }
    }
    if (before !== undefined) return { lines, dropped, next: null };
    if (last !== undefined) this.have = Math.max(this.have ?? 0, last);
    if (after !== undefined && more && last !== undefined) {
      this.#pages += 1;
      return { lines, dropped, next: this.#pages < PAGES ? last : "latest" };
    }
    this.#caughtUp();
    for (const note of this.#held.splice(0)) {
      this.#place(note);
      lines.push(note);
    }
    return { lines, dropped, next: null };
  }

  /** Lets go of the oldest lines beyond the bound; whether there were any. */
  trim() {
    if (this.lines.length <= KEPT + 500) return false;
    const at = this.lines.length - KEPT;
    for (const { seq, id } of this.lines.splice(0, at)) {
      this.#bySeq.delete(seq);
      this.#ids.delete(id);
    }
    if (this.kind === "room") this.older = true;
    return true;
  }

  /** The seq to ask before, for older lines. */
  get first() {
    return this.lines.find(({ seq, ours }) => seq !== undefined && !ours)?.seq;
  }

  #caughtUp() {
    this.caughtUp = true;
    this.#pages = 0;
    this.have ??= 0;
    for (const seq of this.#bySeq.keys()) if (seq > this.have) this.have = seq;
  }

  #settle(known, message) {
    if (known.ours) Object.assign(known, message, { ours: false });
    return [];
  }

  #dropBefore(seq) {
    const kept = this.lines.filter((line) => line.seq !== undefined && line.seq >= seq);
    const dropped = kept.length < this.lines.length;
    this.lines = kept;
    this.#bySeq = new Map(kept.map((line) => [line.seq, line]));
    this.#ids = new Set(kept.map(({ id }) => id));
    return dropped;
  }

  #place(line) {
    const behind = this.lines.at(-1)?.order ?? 0;
    // A note stays behind the message it followed, whatever comes in between later.
    line.order = line.seq ?? (Number.isInteger(behind) ? behind + 0.5 : behind);
    let at = this.lines.length;
    while (at > 0 && this.lines[at - 1].order > line.order) at -= 1;
    this.lines.splice(at, 0, line);
    if (line.seq !== undefined) this.#bySeq.set(line.seq, line);
    if (line.id !== undefined) this.#ids.add(line.id);
  }
}
