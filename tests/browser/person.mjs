// A person in the chat: a browser context of their own with one page, and the words for what they do and see.
import { Mismatch, equal, eventually } from "./harness.mjs";

const stripped = (entry) => ({ seq: entry.seq, id: entry.id, text: entry.text });

export class Person {
  /** Errors in the console, errors thrown, dialogs, and what the Content-Security-Policy stopped. */
  complaints = [];
  /** Every message over the chat's WebSockets, as {socket, direction, message}; `sockets` counts those. */
  passed = [];
  sockets = 0;
  /** Of each message to a room that was acknowledged: id -> {seq, room}. */
  acks = new Map();
  #rooms = new Map(); // of what was said: id -> room

  /** `options`: those of a browser context. */
  static async arrive(topic, browser, address, name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
    topic.later(() => context.close());
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
        console.error(`against the policy: ${violatedDirective} ${blockedURI}`),
      );
    });
    const page = await context.newPage();
    const person = new Person(page, name);
    topic.people.push(person);
    await page.goto(address);
    return person;
  }

  constructor(page, name) {
    this.page = page;
    this.name = name;
    this.context = page.context();
    page.setDefaultTimeout(30_000);
    page.on("console", (message) => {
      // A server that is down is what some tests are about: the page has to say so, the console may.
      if (message.type() === "error" && !/^WebSocket connection to .* failed/.test(message.text()))
        this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("dialog", (dialog) => {
      this.complaints.push("a dialog opened");
      dialog.dismiss();
    });
    page.on("websocket", (socket) => this.#listen(socket));
    this.log = page.getByRole("log");
    this.field = page.getByLabel("Message", { exact: true });
    this.places = page.getByRole("navigation", { name: "Rooms and people" });
    this.people = page.getByRole("list", { name: "Here now" });
    this.rooms = page.getByRole("list", { name: "Rooms", exact: true });
    this.light = page.locator("#light");
    this.wire = page.getByRole("complementary");
  }

  #listen(socket) {
    const { pathname } = new URL(socket.url());
    if (pathname !== "/ws") return;
    const number = (this.sockets += 1);
    const note =
      (direction) =>
      ({ payload }) => {
        if (typeof payload !== "string") return;
        const message = JSON.parse(payload);
        this.passed.push({ socket: number, direction, message });
        if (direction === "out" && message.type === "say") this.#rooms.set(message.id, message.room);
        if (direction === "in" && message.type === "ack" && message.seq !== undefined) {
          this.acks.set(message.id, { seq: message.seq, room: this.#rooms.get(message.id) });
        }
      };
    socket.on("framereceived", note("in"));
    socket.on("framesent", note("out"));
  }

  // What they do.

  async enter(room = "lobby", name = this.name) {
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByLabel("First room").fill(room);
    await this.page.getByRole("button", { name: "Enter" }).click();
  }

  /** Says all of it within one moment, as no finger can. */
  sayAtOnce(...texts) {
    return this.page.evaluate((all) => {
      for (const text of all) {
        document.getElementById("text").value = text;
        document.getElementById("say").requestSubmit();
      }
    }, texts);
  }

  async join(room) {
    await this.page.getByLabel("Room to join").fill(room);
    await this.page.getByRole("button", { name: "Join" }).click();
  }

  /** Opens a room, `#lobby`, or a talk with a person, by its name in the list. */
  async open(name) {
    await this.places.getByRole("button", { name }).first().click();
  }

  async say(...texts) {
    for (const text of texts) {
      await this.field.fill(text);
      await this.field.press("Enter");
    }
  }

  tab(name) {
    return this.page.getByRole("tab", { name }).click();
  }

  // What they see.

  heading = () => this.page.locator("#title").textContent();
  about = () => this.page.locator("#about").textContent();
  state = () => this.light.getAttribute("data-state");
  connected = async () => (await this.state()) === "open";
  names = async () => this.people.locator(".name").allTextContents();
  alert = () =>
    this.page
      .locator("[role=alert]:visible")
      .allTextContents()
      .then((all) => all.join("|"));
  notes = () => this.log.locator(".note").allTextContents();
  noted = async (text) => (await this.notes()).includes(text);
  texts = () => this.log.locator(".text").allTextContents();
  sees = async (text) => (await this.texts()).includes(text);
  /** How many times a text is on screen. */
  times = async (text) => (await this.texts()).filter((one) => one === text).length;
  unread = async (name) =>
    (await this.places.getByRole("button", { name }).first().locator(".unread").allTextContents()).map((text) =>
      parseInt(text, 10),
    )[0] ?? 0;
  /** The messages of the room on screen that the server has, in the order of the page. */
  lines = () =>
    this.log.locator(".line[data-seq]").evaluateAll((lines) =>
      lines.map((line) => ({
        seq: Number(line.dataset.seq),
        id: line.dataset.id,
        text: line.querySelector(".text").textContent,
      })),
    );
  /** Those that wait, with why. */
  waiting = () =>
    this.log.locator(".line[data-state]").evaluateAll((lines) =>
      lines.map((line) => ({
        state: line.dataset.state,
        id: line.dataset.id,
        text: line.querySelector(".text").textContent,
        words: line.querySelector(".state span")?.textContent ?? "",
      })),
    );
  call = (title) => this.wire.getByRole("listitem").filter({ hasText: title }).first().textContent();
  shot = (topic, name) => this.page.screenshot({ path: `${topic.screenshots}${name}.png`, animations: "disabled" });

  /** Every message that came to the page, shown or not. */
  got(type, match = () => true) {
    return this.passed
      .filter(({ direction, message }) => direction === "in" && message.type === type && match(message))
      .map(({ message }) => message);
  }

  sent(type) {
    return this.passed
      .filter(({ direction, message }) => direction === "out" && message.type === type)
      .map(({ message }) => message);
  }
}

/** They come into a room one after the other, until each is in and sees all others there. */
export async function enterAll(people, room) {
  for (const person of people) {
    await person.enter(room);
    await eventually(async () => (await person.heading()) === `#${room}` && person.connected());
  }
  await eventually(async () => {
    for (const person of people) {
      const there = (await person.about()).split(", ");
      equal(
        [
          person.name,
          people.filter((other) => other !== person && !there.includes(other.name)).map(({ name }) => name),
        ],
        [person.name, []],
      );
    }
  });
}

/**
 * The claim of the whole thing: everybody has the same room on screen with the same messages in the same order, by rising
 * `seq`, each once; everything acknowledged to anybody is among them, as acknowledged; nothing waits any more.
 */
export async function sameOnAll(people, least = 0) {
  const [first, ...others] = await Promise.all(people.map((person) => person.lines()));
  if (first.length < least) throw new Mismatch(`${people[0].name} sees ${first.length} messages of ${least}`);
  const rising = first.every(({ seq }, at) => at === 0 || first[at - 1].seq < seq);
  const once = new Set(first.map(({ id }) => id)).size === first.length;
  equal([rising, once], [true, true]);
  others.forEach((lines, at) => {
    if (JSON.stringify(lines) === JSON.stringify(first)) return;
    const differ = first.findIndex((line, place) => JSON.stringify(line) !== JSON.stringify(lines[place]));
    throw new Mismatch(
      `${people[0].name} has ${first.length} messages, ${people[at + 1].name} ${lines.length}; they differ at ${differ}: ` +
        JSON.stringify(
          [first[differ], lines[differ < 0 ? first.length : differ]].map((line) => line && stripped(line)),
        ),
    );
  });
  const known = new Map(first.map(({ id, seq }) => [id, seq]));
  const here = await people[0].heading();
  for (const { name, acks } of people) {
    for (const [id, { seq, room }] of acks) {
      if (`#${room}` === here && known.get(id) !== seq)
        throw new Mismatch(`${name} was acknowledged ${id} as ${seq}, on the pages it is ${known.get(id)}`);
    }
  }
  equal(
    await Promise.all(people.map((person) => person.waiting())),
    people.map(() => []),
  );
  return first;
}

/** Talks until told to stop; answers the texts. About four messages a second, which the server's default rate allows. */
export function chatter(person, every = 300) {
  const texts = [];
  let on = true;
  const talking = (async () => {
    while (on) {
      const text = `${person.name} says ${texts.length + 1}`;
      await person.say(text);
      texts.push(text);
      await person.page.waitForTimeout(every);
    }
  })();
  return async () => {
    on = false;
    await talking;
    return texts;
  };
}
