// The panel beside the talk: this page's own connection made visible. The server shows the frames of a connection to its
// own page alone, over a second WebSocket at /wire, which is open only while the panel is in sight.

import { closeFrame, frame, showCall } from "./calls.js";
import { $, closeWords, element } from "./dom.js";
import { Frames } from "./frames.js";
import { kept } from "./pending.js";

const HIDDEN = "wireroom.wire.hidden";

export class Wire {
  #socket = null;
  #watched = null; // {id, secret} of the connection that is to be shown
  #shown = null; // the id of the one that is
  #tries = 0;
  #timer = 0;
  #narrow = matchMedia("(max-width: 66rem)");
  #frames = new Frames($("frames"), $("passed"), $("pause"));

  constructor() {
    this.#hide(kept.read(HIDDEN) === true);
    $("panel").addEventListener("click", () => {
      this.#hide(document.body.dataset.wire !== "hidden");
      kept.write(HIDDEN, document.body.dataset.wire === "hidden");
      this.look();
    });
    this.#narrow.addEventListener("change", () => this.look());
    const tabs = [...document.querySelectorAll('#wire [role="tab"]')];
    tabs.forEach((tab, at) => {
      tab.addEventListener("click", () => choose(tabs, at));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        choose(tabs, (to + tabs.length) % tabs.length).focus();
      });
    });
  }

  /** The page has a connection, known to the server as `id`. */
  watch(id, secret) {
    this.#watched = { id, secret };
    this.#tries = 0;
    this.look();
  }

  /** The page's connection has ended; what /wire still has to tell comes by itself. */
  ended(code, reason) {
    this.#watched = null;
    clearTimeout(this.#timer);
    const why = closeWords(code, reason);
    showCall($("calls"), { type: "close", why }, closeFrame(code, reason));
    if (this.#shown !== null) this.#frames.note(`The connection ended: ${why}`);
    this.#shown = null;
  }

  /** A message has left the page. */
  sent(message, text) {
    const shown = message.secret === undefined ? text : text.replace(message.secret, "*".repeat(message.secret.length));
    showCall($("calls"), message, frame(shown));
  }

  /** Opens /wire if there is something to show and somebody to see it. */
  look() {
    const { dataset } = document.body;
    const inSight = this.#narrow.matches ? dataset.view === "wire" : dataset.wire !== "hidden";
    if (inSight && this.#watched && this.#shown !== this.#watched.id) this.#open();
  }

  #hide(hidden) {
    document.body.dataset.wire = hidden ? "hidden" : "shown";
    $("panel").setAttribute("aria-expanded", String(!hidden));
  }

  #open() {
    const watched = this.#watched;
    clearTimeout(this.#timer);
    this.#socket?.close();
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/wire`);
    this.#socket = socket;
    this.#shown = watched.id;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "watch", ...watched })));
    socket.addEventListener("message", ({ data }) => {
      if (this.#socket !== socket || typeof data !== "string") return;
      const message = JSON.parse(data);
      if (message.type === "handshake") this.#handshake(message);
      else if (message.type === "frames") this.#frames.add(message);
    });
    socket.addEventListener("close", ({ code }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      // 1000: the watched connection ended, 4001: it is watched elsewhere, 4004: it is not ours. Else: try again.
      if ([1000, 4001, 4004].includes(code) || this.#watched?.id !== watched.id) return;
      this.#shown = null;
      this.#tries += 1;
      this.#timer = setTimeout(() => this.look(), Math.random() * Math.min(15_000, 500 * 2 ** this.#tries));
    });
  }

  #handshake({ request, response, key, guid, sha1, accept }) {
    this.#frames.note("A new connection: its opening handshake is in the third part");
    const code = (words) => element("code", "", words);
    const step = (title, ...content) => element("li", "", element("h3", "", title), ...content);
    const check = element("p", "soft", "");
    $("handshake").replaceChildren(
      element("p", "soft", "An HTTP request that asks to become a WebSocket, and the answer that proves it was understood: RFC 6455 section 4."),
      element("h3", "", "The request"), element("pre", "", request.trim()),
      element("h3", "", "How the accept is computed"),
      element("ol", "steps",
        step("The key: 16 random bytes of the browser, in Base64", code(key)),
        step("Behind it, the GUID that both sides know from RFC 6455", code(key + guid)),
        step("SHA-1 of that, in hexadecimal", code(sha1.replace(/..(?=.)/g, "$& "))),
        step("Those 20 bytes in Base64: Sec-WebSocket-Accept", code(accept), check)),
      element("h3", "", "The response"), element("pre", "", response.trim()),
    );
    this.#check(key + guid, accept, check);
  }

  /** The same once more, by the browser's own SHA-1, where the page may use it. */
  async #check(text, accept, where) {
    if (!globalThis.crypto?.subtle) return;
    const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
    const same = btoa(String.fromCharCode(...new Uint8Array(hash))) === accept;
    where.textContent = same ? "Computed again in this page: the same." : "Computed again in this page: not the same!";
  }
}

function choose(tabs, chosen) {
  tabs.forEach((tab, at) => {
    tab.setAttribute("aria-selected", String(at === chosen));
    tab.tabIndex = at === chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = at !== chosen;
  });
  return tabs[chosen];
}
