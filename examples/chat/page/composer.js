// The field one writes in: Enter sends, a draft for each conversation, and the length counted near its limit.

import { $, say } from "./dom.js";

const NEAR = 0.8; // of the limit: from here on the count is shown

export class Composer {
  #field = $("text");
  #drafts = new Map(); // key -> text
  #key = null;
  #limit = 2000;
  #able = false;
  #hooks;

  /** `hooks`: send(text) -> whether it was taken, writes(), trouble(words). */
  constructor(hooks) {
    this.#hooks = hooks;
    $("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    // Enter sends, Shift and Enter breaks the line; an input method's own Enter is left alone.
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      $("say").requestSubmit();
    });
    this.#field.addEventListener("input", () => {
      this.#count();
      if (this.#field.value.trim()) this.#hooks.writes();
    });
  }

  /** Goes over to a conversation: its draft, its words, and whether one may write there. */
  show(key, placeholder, able, limit) {
    if (key !== this.#key) {
      if (this.#key !== null) this.#drafts.set(this.#key, this.#field.value);
      this.#field.value = this.#drafts.get(key) ?? "";
      this.#drafts.delete(key);
      this.#key = key;
    }
    this.#limit = limit;
    this.#field.placeholder = placeholder;
    // A draft, or a text that was offered back, can be read and taken elsewhere all the same.
    this.#field.readOnly = !able;
    $("say").querySelector("button").disabled = !able;
    this.#able = able;
    this.#count();
  }

  /** Offers a text back, behind what is there already. */
  offer(text) {
    this.#field.value = [this.#field.value.trim(), text].filter(Boolean).join("\n");
    this.#count();
    this.#field.focus();
  }

  focus() {
    this.#field.focus();
  }

  #send() {
    if (!this.#able) return;
    const text = wellFormed(this.#field.value.trim());
    const over = lengthOf(text) - this.#limit;
    if (over > 0) {
      this.#hooks.trouble(`The message is ${over.toLocaleString()} ${over === 1 ? "character" : "characters"} too long.`);
    } else if (text && this.#hooks.send(text)) {
      this.#field.value = "";
      this.#count();
    }
  }

  #count() {
    const length = lengthOf(this.#field.value.trim());
    const counter = $("counter");
    counter.hidden = length < this.#limit * NEAR;
    counter.classList.toggle("over", length > this.#limit);
    say(counter, `${length.toLocaleString()} of ${this.#limit.toLocaleString()}`);
  }
}

/** Characters as the server counts them: code points, not UTF-16 units. */
export const lengthOf = (text) => [...text].length;

/** Half a surrogate pair (a broken paste) is no text in UTF-8; it becomes a replacement character. */
export function wellFormed(text) {
  return text.toWellFormed?.() ?? text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
}
