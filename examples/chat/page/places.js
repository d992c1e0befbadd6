// The lists beside the talk: my rooms, other rooms, everyone, and the people who are here.
//
// The lists change while somebody points at them, so what stays in a list keeps its element: a click begun on a name ends
// on that name, and the keyboard's focus is not lost.

import { $, aside, element, face, named, say } from "./dom.js";
import { EVERYONE, personKey } from "./talk.js";

const OTHERS = 12; // rooms to offer

export class Places {
  #items = new Map(); // key -> {item, button, state}
  #open;
  #join;

  /** `open(key)` shows a conversation, `join(room)` comes into a room. */
  constructor(open, join) {
    this.#open = open;
    this.#join = join;
  }

  draw(session, current) {
    const talks = [...session.talks.values()];
    const rooms = talks.filter(({ kind }) => kind === "room");
    this.#fill($("rooms"), rooms.map((talk) => this.#place({
      key: talk.key, words: `#${talk.name}`, size: talk.people.size, unread: talk.unread, current, outside: !session.wants(talk.name),
    })));
    const inside = new Set(rooms.map(({ name }) => name));
    const others = session.known.filter((room) => !inside.has(room));
    $("others-part").hidden = others.length === 0;
    this.#fill($("others"), others.slice(0, OTHERS).map((room) => this.#place({ key: `other:${room}`, words: `#${room}`, outside: true, room })));
    this.#datalist(others);
    const everyone = session.talks.get(EVERYONE);
    this.#fill($("everyone"), [this.#place({ key: EVERYONE, words: "Everyone else", unread: everyone?.unread ?? 0, current })]);
    this.#fill($("people"), this.#people(session, talks, current));
    say($("count"), session.people.size ? String(session.people.size) : "");
  }

  /** Those who are here, newcomers last (a list that shifts under the pointer is no good), then those who are not but with whom one has talked. */
  #people(session, talks, current) {
    const present = [...session.people.keys()].filter((name) => name !== session.me);
    const absent = talks.filter(({ kind, name, lines }) => kind === "person" && !session.people.has(name)
      && (lines.length || session.waitingIn(session.talks.get(personKey(name))).length));
    return present.concat(absent.map(({ name }) => name)).map((name) => this.#place({
      key: personKey(name), words: name, person: true, unread: session.talks.get(personKey(name))?.unread ?? 0, current,
      away: session.people.get(name) === true, absent: session.welcomed && !session.people.has(name),
    }));
  }

  #fill(list, items) {
    const wanted = new Set(items);
    for (const item of [...list.children]) {
      if (wanted.has(item)) continue;
      item.remove();
      this.#items.delete(item.firstChild.dataset.key);
    }
    items.forEach((item, at) => {
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
    });
  }

  /** One conversation in a list: where it leads, how many are there, how many messages were not read. */
  #place(place) {
    const state = JSON.stringify([place.size, place.unread, place.away, place.absent, place.outside]);
    let known = this.#items.get(place.key);
    if (!known) {
      const made = element("button");
      made.type = "button";
      made.dataset.key = place.key;
      made.addEventListener("click", () => (place.room === undefined ? this.#open(place.key) : this.#join(place.room)));
      known = { item: element("li", "", made), button: made, state: "" };
      this.#items.set(place.key, known);
    }
    if (place.key === place.current) known.button.setAttribute("aria-current", "true");
    else known.button.removeAttribute("aria-current");
    if (known.state === state) return known.item;
    known.state = state;
    const { item, button } = known;
    for (const name of ["away", "absent", "outside"]) item.classList.toggle(name, place[name] === true);
    button.replaceChildren(...(place.person ? [face(place.words)] : []), named(place.words, "name"));
    if (place.away) button.append(aside(", idle"));
    if (place.absent) button.append(aside(", not here"));
    if (place.size) button.append(count(place.size, place.size === 1 ? "person" : "people", "size"));
    if (place.unread) button.append(count(place.unread, "not read", "unread"));
    button.title = place.away ? `${place.words}, idle` : place.words;
    return item;
  }

  #datalist(rooms) {
    const known = $("known");
    if (known.children.length === rooms.length && rooms.every((room, at) => known.children[at].value === room)) return;
    known.replaceChildren(...rooms.map((room) => Object.assign(element("option"), { value: room })));
  }
}

function count(number, what, className) {
  return element("span", className, String(number), aside(` ${what}`));
}
