// "Frames": the frames of this page's connection, as the server saw them pass.

import { CLOSE_CODES, clock, element, plural, say } from "./dom.js";

const MOST = 200;
const MILLISECOND = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const OPCODES = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

export class Frames {
  #list;
  #passed;
  #pause;
  #held = []; // rows that came while paused
  #paused = false;
  #count = 0;

  constructor(list, passed, pause) {
    this.#list = list;
    this.#passed = passed;
    this.#pause = pause;
    pause.addEventListener("click", () => this.#turn());
  }

  /** One message of the server: its frames, oldest first, and how many it could not keep. */
  add({ frames, missed }) {
    if (missed) this.#row(element("li", "break", `${plural(missed, "frame")} passed unseen`));
    for (const one of frames) {
      this.#count += 1;
      this.#row(row(one));
    }
    this.#words();
  }

  /** A line between two connections. */
  note(words) {
    this.#row(element("li", "break", words));
    this.#words();
  }

  #row(made) {
    if (this.#paused) {
      this.#held.push(made);
      if (this.#held.length > MOST) this.#held.shift();
      return;
    }
    this.#list.prepend(made);
    while (this.#list.children.length > MOST) this.#list.lastChild.remove();
  }

  #turn() {
    this.#paused = !this.#paused;
    this.#pause.setAttribute("aria-pressed", String(this.#paused));
    say(this.#pause, this.#paused ? "Go on" : "Pause");
    for (const made of this.#held.splice(0)) this.#row(made);
    this.#words();
  }

  #words() {
    const passed = this.#count ? `${plural(this.#count, "frame")} passed` : "No frame yet";
    say(this.#passed, this.#held.length ? `Paused, ${plural(this.#held.length, "more row")} below` : passed);
  }
}

function row({ direction, time, fin, rsv, opcode, masked, key, length, start, code, reason }) {
  const made = element("li", "frame");
  made.dataset.opcode = opcode;
  made.dataset.direction = direction;
  const out = direction === "out";
  const arrow = element("span", "arrow", out ? "\u2191" : "\u2193");
  arrow.setAttribute("role", "img");
  arrow.setAttribute("aria-label", out ? "sent" : "received");
  const opcodeWord = OPCODES[opcode] ?? `opcode ${opcode}`;
  made.append(element("p", "head", arrow, element("b", "", opcodeWord), element("span", "length", plural(length, "byte")), clock(time, MILLISECOND)));
  const facts = [fin ? "fin" : "not fin", rsv ? `rsv ${rsv.toString(2).padStart(3, "0")}` : "", masked ? `masked${key ? ` with ${spaced(key)}` : ""}` : "not masked"];
  made.append(element("p", "facts", facts.filter(Boolean).join(", ")));
  if (opcode === 8) made.append(element("p", "close", code === undefined ? "no code" : `${code}, ${closeMeaning(code, reason)}`));
  if (start) {
    const more = start.length / 2 < length ? "…" : "";
    const words = element("p", "bytes");
    if (opcode !== 8) words.append(element("code", "", printable(start) + more));
    words.append(element("code", "hex", spaced(start) + more));
    made.append(words);
  }
  return made;
}

const closeMeaning = (code, reason) => [CLOSE_CODES[code] ?? "no meaning registered", reason && `“${reason}”`].filter(Boolean).join(": ");

const spaced = (hex) => hex.replace(/..(?=.)/g, "$& ");

/** Bytes as text: UTF-8 where it is (a cut at the end is none), a dot for what is no character. */
function printable(hex) {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const text = new TextDecoder().decode(bytes, { stream: true });
  return text.replace(/[\p{C}\uFFFD]/gu, "·");
}
