// A WebSocket that comes back. It knows nothing of what is said over it.
//
// A lost connection is tried again after a random time between 0 and min(15 s, 0.5 s * 2^n), where n counts the tries
// since it last held for 10 s ("full jitter": a thousand pages do not come back at the same moment). It is tried at once
// when the network comes back, when the page is shown again, and when somebody asks for it.
//
// A socket can be dead without a word: the network is cut, the laptop slept. So once a second the page looks at its
// clock. Has it jumped, the machine slept, and the socket is made anew. Is something owed by the server and nothing came
// for a while, the same. Was it silent for a minute, `quiet` has the owner ask for something.

const FIRST = 500; // milliseconds, as everywhere here
const CAP = 15_000;
const HELD = 10_000; // so long connected, and the tries count from zero
const OPENING = 15_000; // for TCP, the opening handshake and what the owner calls ready
const PATIENCE = 45_000; // for something owed
const PROBE_PATIENCE = 10_000; // for what `quiet` asked for
const QUIET = 60_000;
const SLEPT = 30_000;
const SLEPT_HIDDEN = 90_000; // browsers run the timers of a hidden page once a minute

export class Link {
  /** "closed" (until somebody calls `start`), "connecting", "waiting" (for `until`), "open" (the owner said `ready`). */
  state = "closed";
  until = 0;
  /** Why the last connection ended: {code, reason}. */
  why = null;
  #url;
  #hooks;
  #usual;
  #socket = null;
  #stale = null; // given up, but not closed before the next one is ready: so the server sees a change, not a loss
  #tries = 0;
  #timer = 0;
  #since = 0; // the state's beginning
  #heard = 0;
  #owedSince = null;
  #patience;
  #ticked = Date.now();
  #hidden = document.hidden;

  /**
   * `hooks`: opened(), received(object), closed(code, reason) -> "again" | "slowly" | "stop", changed(),
   * owed() -> whether an answer of the server is outstanding, quiet() -> asks for something if it can.
   * `patience`: how long to wait for what is owed.
   */
  constructor(path, hooks, patience = PATIENCE) {
    this.#usual = patience;
    this.#url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${path}`;
    this.#hooks = hooks;
    setInterval(() => this.#tick(), 1000);
    addEventListener("online", () => this.#back());
    addEventListener("pageshow", (event) => event.persisted && this.#back());
    document.addEventListener("visibilitychange", () => this.#tick());
  }

  /** Connects now, whatever was before. */
  start() {
    this.#forget();
    this.#enter("connecting");
    this.#heard = Date.now();
    this.#owedSince = null;
    this.#patience = this.#usual;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    const current = (act) => (event) => { if (this.#socket === socket) act(event); };
    socket.addEventListener("open", current(() => this.#hooks.opened()));
    socket.addEventListener("message", current(({ data }) => this.#received(data)));
    socket.addEventListener("close", current(({ code, reason }) => this.#lost(code, reason)));
  }

  /** The owner's opening words are through: from here on the connection counts as one. */
  ready() {
    this.#stale?.close();
    this.#stale = null;
    this.#enter("open");
  }

  /** Ends the connection for good. */
  stop() {
    this.#stale?.close();
    this.#forget();
    if (this.state !== "closed") this.#enter("closed");
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends one message; the text that left, or null without a connection. */
  send(message) {
    if (!this.open) return null;
    const text = JSON.stringify(message);
    this.#socket.send(text);
    return text;
  }

  #enter(state) {
    this.state = state;
    this.#since = Date.now();
    this.#hooks.changed();
  }

  /** Lets go of the socket without hearing from it again. */
  #forget() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #received(data) {
    this.#heard = Date.now();
    this.#patience = this.#usual;
    if (typeof data === "string") this.#hooks.received(JSON.parse(data));
  }

  #lost(code, reason, atOnce = false) {
    const held = this.state === "open";
    if (held && Date.now() - this.#since >= HELD) this.#tries = 0;
    if (held && this.open) {
      this.#stale = this.#socket;
      this.#socket = null;
    }
    this.#forget();
    // A try that failed without a word says less than why there had to be one.
    if (held || reason || code !== 1006 || this.why === null) this.why = { code, reason };
    const next = this.#hooks.closed(code, reason);
    if (this.#socket) return; // the hook has begun anew
    if (next === "stop") {
      this.#enter("closed");
      return;
    }
    if (next === "slowly") this.#tries = Math.max(this.#tries, 5);
    const wait = atOnce ? 0 : Math.random() * Math.min(CAP, FIRST * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 10);
    this.until = Date.now() + wait;
    this.#timer = setTimeout(() => this.start(), wait);
    this.#enter("waiting");
  }

  #back() {
    if (this.state === "waiting") this.start();
    else if (this.open) this.#probe();
  }

  /** Asks for something, so that silence means something. */
  #probe() {
    this.#patience = Math.min(PROBE_PATIENCE, this.#usual);
    this.#hooks.quiet?.();
  }

  #tick() {
    const now = Date.now();
    const gap = now - this.#ticked;
    const hidden = this.#hidden; // since the last tick
    this.#ticked = now;
    this.#hidden = document.hidden;
    const shown = hidden && !this.#hidden;
    if (this.state === "waiting") {
      if (shown || gap > SLEPT || now >= this.until + 1000) this.start();
    } else if (!this.#socket) {
      return;
    } else if (gap > (hidden ? SLEPT_HIDDEN : SLEPT)) {
      this.#lost(1006, "this page slept", true);
    } else if (this.state === "connecting") {
      if (now - this.#since > OPENING) this.#lost(1006, "the server does not answer");
    } else {
      this.#watch(now, shown && gap > SLEPT);
    }
  }

  #watch(now, asleep) {
    if (asleep || (!this.#hidden && now - this.#heard > QUIET && this.#owedSince === null)) this.#probe();
    if (!this.#hooks.owed()) this.#owedSince = null;
    else this.#owedSince ??= now;
    if (this.#owedSince !== null && now - Math.max(this.#owedSince, this.#heard) > this.#patience) {
      this.#lost(1006, "the server does not answer");
    }
  }
}
