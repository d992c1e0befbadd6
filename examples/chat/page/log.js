// The log of the conversation on screen: draws its lines, and keeps what one reads where it is.
//
// Lines may come anywhere in the order (older ones while scrolling back, missed ones after a lost connection). At its end
// the log follows what is said; anywhere else the line at the top stays where it is, whatever comes above or below it.

import { aside, button, clock, day, element, face, named, plural } from "./dom.js";

const NEAR_END = 80; // pixels
const NEAR_TOP = 240;
const TOGETHER = 300_000; // milliseconds between two messages of one person that share a face

export class Log {
  #root;
  #list = element("div", "lines"); // a block of its own: a flex box would measure every line for each new one
  #latest;
  #hooks;
  #talk = null;
  #drawn = new Map(); // line -> element
  #waiting = new Map(); // id -> [entry, element]
  #begin = null;
  #stuck = true; // to the end
  #missed = 0; // said below what is on screen

  /** `hooks`: older(talk) -> whether more is on its way, waitingIn(talk), edit(id), discard(id), again(id). */
  constructor(root, latest, hooks) {
    this.#root = root;
    this.#latest = latest;
    this.#hooks = hooks;
    root.append(this.#list);
    root.addEventListener("scroll", () => this.#scrolled());
    new ResizeObserver(() => this.#stuck && this.#toEnd()).observe(root);
    latest.addEventListener("click", () => {
      this.#toEnd();
      root.focus({ preventScroll: true });
    });
  }

  get atEnd() {
    return this.#stuck;
  }

  /** Draws a conversation from its first line to its last, at its end or at what is new in it. */
  show(talk) {
    const root = this.#root;
    root.setAttribute("aria-busy", "true"); // one does not want all of it read out
    this.#talk = talk;
    this.#drawn.clear();
    this.#waiting.clear();
    this.#begin = talk.kind === "room" ? element("div", "begin") : null;
    this.#list.replaceChildren(...(this.#begin ? [this.#begin] : []));
    this.#beginning();
    for (let at = 0; at < talk.lines.length; at += 1) this.#list.append(this.#draw(at));
    this.#syncWaiting();
    this.#stuck = true;
    this.#toEnd();
    const mark = this.#drawn.get(talk.mark);
    if (mark && mark.offsetTop < root.scrollTop) {
      root.scrollTop = mark.offsetTop - 16;
      this.#scrolled();
    }
    requestAnimationFrame(() => root.removeAttribute("aria-busy"));
    this.#fill();
  }

  /** Draws lines that the conversation has got, each where it belongs; with `said`, they count as new ones. */
  added(lines, said) {
    const talk = this.#talk;
    const some = new Set(lines);
    const many = lines.length > 3; // a page of them is not to be read out
    if (many) this.#root.setAttribute("aria-busy", "true");
    this.#keepingPlace(() => {
      this.#syncWaiting();
      let next = this.#waiting.values().next().value?.[1] ?? null;
      for (let at = talk.lines.length - 1, left = some.size; at >= 0 && left > 0; at -= 1) {
        const line = talk.lines[at];
        if (some.has(line)) {
          left -= 1;
          this.#list.insertBefore(this.#draw(at), next);
          if (at + 1 < talk.lines.length) this.#dress(at + 1);
        }
        next = this.#drawn.get(line) ?? next;
      }
      this.#dressWaiting();
      this.#beginning();
    });
    if (many) requestAnimationFrame(() => this.#root.removeAttribute("aria-busy"));
    const mine = lines.some((line) => line.mine && said);
    if (mine) this.#toEnd();
    else if (said && !this.#stuck) this.#missed += lines.filter((line) => !line.mine && line.note === undefined).length;
    this.#pointer();
    this.#fill();
  }

  /** What waits to be acknowledged has changed. */
  waiting(written) {
    this.#keepingPlace(() => this.#syncWaiting());
    if (written) this.#toEnd();
  }

  /** The mark of what is new has moved. */
  marked(line) {
    const at = this.#talk.lines.indexOf(line);
    if (at >= 0 && this.#drawn.has(line)) this.#keepingPlace(() => this.#dress(at));
  }

  // --- Place --------------------------------------------------------------------------------------------------------

  #scrolled() {
    const root = this.#root;
    this.#stuck = root.scrollHeight - root.scrollTop - root.clientHeight < NEAR_END;
    if (this.#stuck) this.#missed = 0;
    this.#pointer();
    if (root.scrollTop < NEAR_TOP) this.#older();
  }

  #toEnd() {
    this.#root.scrollTop = this.#root.scrollHeight;
    this.#stuck = true;
    this.#missed = 0;
    this.#pointer();
  }

  #pointer() {
    const words = this.#missed ? `${plural(this.#missed, "new message")} below` : "To the latest";
    if (this.#latest.textContent !== words) this.#latest.textContent = words;
    this.#latest.hidden = this.#stuck;
  }

  #keepingPlace(act) {
    if (this.#stuck) {
      act();
      this.#toEnd();
      return;
    }
    // The text, not what stands above it: day, face and name of a line may go when an older one comes before it.
    const first = this.#firstOnScreen();
    const anchor = first?.querySelector(".text") ?? first;
    const before = anchor?.getBoundingClientRect().top;
    act();
    if (anchor?.isConnected) this.#root.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  /** The first line that reaches below the log's upper edge; lines are in order, so half of them need no look. */
  #firstOnScreen() {
    const { children } = this.#list;
    const edge = this.#root.scrollTop + this.#root.offsetTop;
    let [low, high] = [this.#begin ? 1 : 0, children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (children[middle].offsetTop + children[middle].offsetHeight > edge) high = middle;
      else low = middle + 1;
    }
    return children[low];
  }

  #older() {
    if (this.#talk?.kind === "room" && this.#hooks.older(this.#talk)) this.#beginning();
  }

  /** A log that is not full cannot be scrolled, so it asks for what would fill it. */
  #fill() {
    if (this.#root.clientHeight > 0 && this.#root.scrollHeight <= this.#root.clientHeight) this.#older();
  }

  #beginning() {
    const talk = this.#talk;
    if (!this.#begin) return;
    const said = talk.lines.some(({ seq }) => seq !== undefined);
    const state = talk.asked.older ? "loading" : talk.older ? "more" : said ? "begin" : talk.caughtUp ? "nothing" : "";
    if (this.#begin.dataset.history === state) return;
    this.#begin.dataset.history = state;
    this.#begin.replaceChildren({
      loading: () => "Earlier messages are on their way",
      more: () => button("Earlier messages", "", () => this.#older()),
      begin: () => "This is where the room begins",
      nothing: () => "Nobody has said anything here yet",
      "": () => "",
    }[state]());
  }

  // --- Lines --------------------------------------------------------------------------------------------------------

  #draw(at) {
    const line = this.#talk.lines[at];
    let made;
    if (line.note !== undefined) made = element("div", "note", ...(line.who ? [named(line.who)] : []), line.note);
    else {
      made = bubble(line.from, line.mine, line.text, line.time);
      if (line.seq !== undefined) made.dataset.seq = line.seq;
      made.dataset.id = line.id;
    }
    this.#drawn.set(line, made);
    this.#dress(at);
    return made;
  }

  /** What a line owes to the one before it: the day above it, the mark above it, whether it needs a face of its own. */
  #dress(at) {
    const line = this.#talk.lines[at];
    const made = this.#drawn.get(line);
    if (!made || line.note !== undefined) return;
    let before = at - 1;
    while (before >= 0 && this.#talk.lines[before].note !== undefined) before -= 1;
    const said = this.#talk.lines[before];
    for (const old of made.querySelectorAll(":scope > .day, :scope > .new")) old.remove();
    const first = this.#talk.mark === line;
    if (first) made.prepend(element("p", "new", "New"));
    const today = day(line.time);
    const otherDay = !said || day(said.time) !== today;
    if (otherDay) made.prepend(element("p", "day", today));
    const follows = before === at - 1 && together(said, line) && !first && !otherDay;
    made.classList.toggle("follows", follows);
  }

  #syncWaiting() {
    const entries = this.#hooks.waitingIn(this.#talk);
    const ids = new Set(entries.map(({ id }) => id));
    for (const [id, [, made]] of this.#waiting) {
      if (ids.has(id)) continue;
      made.remove();
      this.#waiting.delete(id);
    }
    for (const entry of entries) {
      const [known, old] = this.#waiting.get(entry.id) ?? [];
      if (known?.state === entry.state && known.reason === entry.reason && known.held === entry.held) continue;
      const made = this.#drawWaiting(entry);
      if (old) old.replaceWith(made);
      else this.#list.append(made);
      this.#waiting.set(entry.id, [entry, made]);
    }
    this.#dressWaiting();
  }

  #drawWaiting(entry) {
    const made = bubble(entry.from, true, entry.text, entry.time);
    made.dataset.id = entry.id;
    made.dataset.state = entry.state;
    const held = made.lastChild;
    if (entry.state === "pending") {
      held.title = "Not acknowledged by the server yet";
      held.append(aside("Not sent yet"));
      if (!entry.held) return made;
    }
    const words = { pending: entry.held, failed: `Not sent: ${entry.reason}`, maybe: "May not have arrived: the connection was lost" }[entry.state];
    const acts = [button("Edit", "small", () => this.#hooks.edit(entry.id)), button("Discard", "small", () => this.#hooks.discard(entry.id))];
    if (entry.state === "maybe") acts.unshift(button("Send again", "small", () => this.#hooks.again(entry.id)));
    held.append(element("p", "state", element("span", "", words), ...acts));
    return made;
  }

  #dressWaiting() {
    let before = this.#talk.lines.at(-1);
    for (const [entry, made] of this.#waiting.values()) {
      made.classList.toggle("follows", together(before, { ...entry, mine: true }));
      before = { ...entry, mine: true };
    }
  }
}

/** Two messages of one person, one right behind the other. */
const together = (a, b) => a?.note === undefined && a?.from === b.from && a.mine === b.mine && Math.abs(b.time - a.time) < TOGETHER;

function bubble(from, mine, text, time) {
  const made = element("div", mine ? "line mine" : "line");
  const said = element("p", "text", text);
  said.dir = "auto";
  const head = element("p", "from", element("b", "", mine ? "You" : named(from)), " ", clock(time));
  if (!mine) made.append(face(from));
  made.append(element("div", "bubble", head, said));
  return made;
}
