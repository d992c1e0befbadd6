// Making elements, and the few words that more than one part of the page needs. Whatever a person wrote gets into the
// page as text (`append` with a string, `textContent`), so a name or a message is never markup.

export const $ = (id) => document.getElementById(id);

/** An element with a class and what it holds: text, or other elements. */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** A button that does something when pressed. */
export function button(words, className, press) {
  const made = element("button", className, words);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

/** A name, kept from turning the direction of the words around it. */
export const named = (name, className = "") => element("bdi", className, name);

/** Words for those who listen to the page, not for those who look at it. */
export const aside = (words) => element("span", "hidden", words);

/** Sets a text only when it is another one: the same again would be read out again. */
export function say(where, words) {
  if (where.textContent !== words) where.textContent = words;
}

/** A person's first letter on one of eight colours, the same on every page. */
export function face(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  const made = element("span", `face hue-${(hash >>> 8) % 8}`, [...name][0]?.toUpperCase() ?? "");
  made.setAttribute("aria-hidden", "true");
  return made;
}

// Making a format is what costs, so each is made once.
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time of the day, with its date for the machine and in a tooltip. */
export function clock(ms, format = MINUTE) {
  const made = element("time", "", format.format(ms));
  made.dateTime = new Date(ms).toISOString();
  made.title = WHOLE.format(ms);
  return made;
}

/** Today, Yesterday, or the date. */
export function day(ms) {
  const date = new Date(ms);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return "Today";
  now.setDate(now.getDate() - 1);
  if (date.toDateString() === now.toDateString()) return "Yesterday";
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

// RFC 6455 section 7.4.1, and the chat's own, in words.
export const CLOSE_CODES = {
  1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
  1005: "no status received", 1006: "no Close frame", 1007: "invalid payload", 1008: "policy violation",
  1009: "message too big", 1010: "extension missing", 1011: "internal error", 1012: "service restart",
  1013: "try again later", 4001: "replaced", 4002: "too many messages", 4003: "no hello", 4004: "nothing to watch",
};

/** `1001, going away`: the code with the peer's reason, or with what the code means. */
export const closeWords = (code, reason) => `${code}, ${reason || CLOSE_CODES[code] || "no reason given"}`;
