// What was written and has not been acknowledged: kept until it is, through lost connections and reloads of the tab.
//
// A message to a room is sent again on every new connection until its `ack` comes (or the message itself, in the room or
// in its history): the server knows it by its id and stores it once. A message to a person or to everyone is stored
// nowhere, so it is sent once; if the connection ends before the answer, it may have arrived or not, and the person
// decides. At most one message to the same place is under way, so what one writes arrives in the order one wrote it.

const KEY = "wireroom.pending";
const MOST = 500;

/** A random id of 128 bits in [A-Za-z0-9_-]. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The tab's own storage: a reload keeps it, closing the tab ends it. A browser may refuse it; then memory has to do. */
export const kept = {
  read(key) {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, JSON.stringify(value));
    } catch { /* full, or forbidden */ }
  },
};

export class Pending {
  /** {id, kind: "say" | "whisper" | "shout", to, text, from, time, state: "pending" | "failed" | "maybe", reason?, sent} */
  #entries = new Map();
  #underWay = new Set();
  #after = new Map(); // id -> when the server takes it again
  #held = 0; // until when nothing is sent at all
  #reason = ""; // the server's words for having to wait
  #bucket = null; // {rate, burst, tokens, at}
  #timer = 0;
  #hooks;
  /** Why something has to wait although its place is open, in words. */
  paced = "";

  /** `hooks`: send(entry) -> whether it left, may(entry) -> whether its place is open, changed(entry). */
  constructor(hooks) {
    this.#hooks = hooks;
    const entries = kept.read(KEY);
    for (const entry of Array.isArray(entries) ? entries : []) {
      if (entry.kind !== "say" && entry.sent && entry.state === "pending") entry.state = "maybe";
      this.#entries.set(entry.id, entry);
    }
  }

  [Symbol.iterator]() {
    return this.#entries.values();
  }

  has(id) {
    return this.#entries.has(id);
  }

  /** The text that waits under this id. */
  text(id) {
    return this.#entries.get(id)?.text;
  }

  /** A person has gone: who comes next under that name may be somebody else, so what waits for them is not sent unasked. */
  strand(name) {
    for (const { id, state } of this.of("whisper", name)) if (state === "pending") this.fail(id, `${name} went out.`);
  }

  /** Something is with the server that it has not answered. */
  get underWay() {
    return this.#underWay.size > 0;
  }

  /** What waits in one place, in the order it was written. */
  of(kind, to) {
    return [...this.#entries.values()].filter((entry) => entry.kind === kind && entry.to === to);
  }

  /** False: as many wait already as this page keeps. */
  add(kind, to, text, from) {
    if (this.#entries.size >= MOST) return false;
    this.#put({ id: randomId(), kind, to, text, from, time: Date.now(), state: "pending", sent: false });
    this.pump();
    return true;
  }

  /** Done, or no longer wanted: the entry, which is forgotten. */
  settle(id) {
    const entry = this.#entries.get(id);
    if (!entry) return null;
    this.#entries.delete(id);
    this.#underWay.delete(id);
    this.#after.delete(id);
    this.#save();
    this.#hooks.changed(entry);
    this.pump();
    return entry;
  }

  /** The server will not have it. */
  fail(id, reason) {
    const entry = this.#entries.get(id);
    this.#underWay.delete(id);
    this.#put({ ...entry, state: "failed", reason });
    this.pump();
  }

  /** The server takes it in `wait` milliseconds; with `all`, and nothing else before that. */
  hold(id, wait, all, reason) {
    this.#underWay.delete(id);
    const until = performance.now() + wait;
    this.#reason = reason;
    this.#after.set(id, until);
    if (all) this.#held = Math.max(this.#held, until);
    this.pump();
  }

  /** Once more, under a new id: the old one may be the server's already. */
  again(id, from) {
    const entry = this.settle(id);
    if (entry) this.add(entry.kind, entry.to, entry.text, from);
  }

  /** Everything the person of that name wrote is now `name`'s; what others wrote in this tab is not sent. */
  owner(name, before = name) {
    for (const entry of [...this.#entries.values()]) {
      if (entry.from === name) continue;
      if (entry.from === before) this.#put({ ...entry, from: name });
      else if (entry.state !== "failed") this.#put({ ...entry, state: "failed", reason: `written as ${entry.from}` });
    }
  }

  connected({ rate, burst }) {
    this.#bucket = rate > 0 ? { rate: rate * 0.95, burst: Math.max(1, burst - 1), tokens: Math.max(1, burst - 1), at: performance.now() } : null;
    this.#held = 0;
    this.#after.clear();
  }

  lost() {
    clearTimeout(this.#timer);
    this.paced = "";
    for (const id of [...this.#underWay]) {
      const entry = this.#entries.get(id);
      if (entry.kind !== "say") this.#put({ ...entry, state: "maybe" });
    }
    this.#underWay.clear();
  }

  /** The server closed the connection over what it was sent last: not sent again by itself. */
  refuseUnderWay(reason) {
    for (const id of [...this.#underWay]) this.fail(id, reason);
  }

  /** Sends what may be sent now, and comes back when more may. */
  pump() {
    clearTimeout(this.#timer);
    const now = performance.now();
    const busy = new Set([...this.#underWay].map((id) => placeOf(this.#entries.get(id))));
    let wake = Infinity;
    let paced = "";
    for (const entry of [...this.#entries.values()]) {
      const place = placeOf(entry);
      if (entry.state !== "pending" || busy.has(place)) continue;
      busy.add(place);
      if (!this.#hooks.may(entry)) continue;
      const after = Math.max(this.#after.get(entry.id) ?? 0, this.#held);
      const wait = after > now ? after - now : this.#wait(now);
      if (wait > 0) {
        paced = after > now ? this.#reason : "You write faster than the server takes it. The rest goes out in turn.";
        wake = Math.min(wake, wait);
        continue;
      }
      if (!this.#hooks.send(entry)) continue;
      if (this.#bucket) this.#bucket.tokens -= 1;
      this.#underWay.add(entry.id);
      if (entry.kind !== "say") this.#put({ ...entry, sent: true }, false);
    }
    if (wake < Infinity) this.#timer = setTimeout(() => this.pump(), wake + 5);
    if (paced !== this.paced) {
      this.paced = paced;
      this.#hooks.changed(null);
    }
  }

  /** How long until one more message is within the server's rate. */
  #wait(now) {
    const bucket = this.#bucket;
    if (!bucket) return 0;
    bucket.tokens = Math.min(bucket.burst, bucket.tokens + (Math.max(0, now - bucket.at) * bucket.rate) / 1000);
    bucket.at = now;
    return bucket.tokens >= 1 ? 0 : ((1 - bucket.tokens) * 1000) / bucket.rate;
  }

  #put(entry, tell = true) {
    this.#entries.set(entry.id, entry);
    this.#save();
    if (tell) this.#hooks.changed(entry);
  }

  #save() {
    kept.write(KEY, this.#entries.size ? [...this.#entries.values()] : null);
  }
}

const placeOf = ({ kind, to }) => `${kind}:${to}`;
