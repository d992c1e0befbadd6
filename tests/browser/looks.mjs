// How it looks and is worked: by keyboard, on a phone, light and dark, and with a screen reader as far as axe can tell.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Chat, equal } from "./harness.mjs";
import { Person, enterAll } from "./person.mjs";
import { Socket, blank, newId } from "./raw.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const COLOURS = ["color-contrast"]; // all that a page in other colours can have wrong

/** What axe finds wrong with the page as it is now. */
async function faults(person, rules = EVERYTHING) {
  await person.page.evaluate(`globalThis.axe ?? ${axe}; 0`);
  const { violations } = await person.page.evaluate((runOnly) => axe.run(document, { runOnly }), rules);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.split("\n")[1]?.trim()}`),
  );
}

/** Presses Tab until the element in focus fits; on the way, each has to show that it has the focus. */
async function tabTo(person, wanted, key = "Tab") {
  for (let presses = 0; presses < 60; presses += 1) {
    await person.page.keyboard.press(key);
    const { outline, words } = await person.page.evaluate(() => {
      const one = document.activeElement;
      if (one === document.body) return { outline: true, words: "" }; // behind the last one, or before the first
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      return {
        outline: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1,
        words: `${one.id} ${one.dataset.key ?? ""} ${one.textContent.trim().slice(0, 40)}`,
      };
    });
    equal([words, outline], [words, true]);
    if (words.includes(wanted)) return;
  }
  throw new Error(`${key} never comes to ${wanted}`);
}

const fits = (person) =>
  person.page.evaluate(() => [document.documentElement.scrollWidth <= innerWidth, visualViewport.width <= innerWidth]);

export async function keyboard(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program, "--rate", "0");
  const writer = await Socket.enter(await blank(topic, browser, address), address, "Quill", "lobby");
  for (let number = 0; number < 80; number += 1)
    await writer.answer({ type: "say", id: newId(), room: "lobby", text: `number ${number}` }, "ack");
  const ann = await Person.arrive(topic, browser, address, "Ann");
  const { keyboard: keys } = ann.page;
  await check("the first field has the focus", async () =>
    equal(await ann.page.evaluate(() => document.activeElement.id), "name"),
  );
  await keys.type("Ann");
  await keys.press("Tab");
  await keys.press("ControlOrMeta+A");
  await keys.type("lobby");
  await keys.press("Enter");
  await check("Ann comes in with the keyboard alone", async () =>
    equal([await ann.connected(), await ann.heading()], [true, "#lobby"]),
  );
  await tabTo(ann, "text");
  await keys.type("By keys");
  await keys.press("Shift+Enter");
  await keys.type("in two lines");
  await keys.press("Enter");
  await check("and talks", () => ann.sees("By keys\nin two lines"));
  await tabTo(ann, "log", "Shift+Tab");
  await keys.press("Home");
  await check("scrolls back, and older messages come", async () => (await ann.lines()).length === 81);
  await tabTo(ann, "room:lobby", "Shift+Tab");
  await tabTo(ann, "person:Quill");
  await keys.press("Enter");
  await check("opens the talk with a person", async () =>
    equal([await ann.heading(), await ann.page.evaluate(() => document.activeElement.id)], ["Quill", "text"]),
  );
  await keys.type("Psst");
  await keys.press("Enter");
  await check("and whispers", () => ann.sees("Psst"));
  await tabTo(ann, "room ", "Shift+Tab");
  await keys.type("attic");
  await keys.press("Enter");
  await check("joins a second room", async () => equal(await ann.heading(), "#attic"));
  await tabTo(ann, "tab-calls");
  await keys.press("ArrowRight");
  await check("goes through the panel's parts by arrow keys", async () =>
    equal(
      [await ann.page.locator("#part-frames").isVisible(), await ann.page.evaluate(() => document.activeElement.id)],
      [true, "tab-frames"],
    ),
  );
  await keys.press("End");
  await check("to the last", async () => equal(await ann.page.locator("#part-handshake").isVisible(), true));
  await keys.press("ArrowRight");
  await check("and around", async () => equal(await ann.page.locator("#part-calls").isVisible(), true));
  await tabTo(ann, "leave", "Shift+Tab");
  await keys.press("Enter");
  await check("leaves the room", async () =>
    equal([await ann.heading(), await ann.rooms.locator(".name").allTextContents()], ["#lobby", ["#lobby"]]),
  );
  await now("and is still where she was", async () =>
    equal(await ann.page.evaluate(() => document.activeElement.id), "leave"),
  );
  await tabTo(ann, "exit", "Shift+Tab");
  await keys.press("Enter");
  await check("and goes out", () => ann.page.getByLabel("Your name").isVisible());
  await check("with the focus on the first field again", async () =>
    equal(await ann.page.evaluate(() => document.activeElement.id), "name"),
  );
}

export async function looks(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program, "--rate", "0");
  const people = new Map();
  for (const [name, colorScheme, options] of [
    ["Ann", "light", {}],
    ["Bob", "dark", {}],
    ["Cleo", "light", { reducedMotion: "reduce" }],
  ]) {
    people.set(name, await Person.arrive(topic, browser, address, name, { colorScheme, ...options }));
  }
  const [ann, bob, cleo] = people.values();
  await check("the door: axe finds nothing", async () => equal(await faults(ann), []));
  await check("the door, dark: axe finds nothing", async () => equal(await faults(bob, COLOURS), []));
  await enterAll([ann, bob, cleo], "lobby");
  await bob.say("Right behind you.");
  await cleo.say("Is there soup?");
  await ann.say(
    "Soup, and bread from the workshop's oven. The socket is warm, the frames are small, and the room is full.",
  );
  await ann.say("مرحبا بالعالم, and 🦀 too.");
  await cleo.join("workshop");
  await check("all of it is on Bob's page", () => bob.sees("مرحبا بالعالم, and 🦀 too."));
  await cleo.open("#lobby");
  await cleo.open("Bob");
  await cleo.say("Bring a spoon");
  await check("with something that is not read", async () => equal(await bob.unread("Cleo"), 1));
  await ann.field.pressSequentially("Let");
  await check(
    "and somebody who writes",
    async () => (await bob.page.locator("#typing").textContent()) === "Ann is typing",
  );
  await bob.shot(topic, "talk-dark");
  await ann.shot(topic, "talk-light");
  for (const [person, colours] of [
    [ann, "light"],
    [bob, "dark"],
  ]) {
    for (const part of ["Calls", "Frames", "Opening handshake"]) {
      await person.tab(part);
      await check(`the talk, ${colours}, with ${part}: axe finds nothing`, async () =>
        equal(await faults(person, person === bob ? COLOURS : EVERYTHING), []),
      );
    }
    await person.tab("Frames");
    await person.shot(topic, `frames-${colours}`);
  }
  await now("light is light and dark is dark", async () => {
    const shade = (person) =>
      person.page.evaluate(
        () =>
          getComputedStyle(document.documentElement)
            .backgroundColor.match(/\d+/g)
            .slice(0, 3)
            .map(Number)
            .reduce((sum, part) => sum + part) / 3,
      );
    equal([(await shade(ann)) > 200, (await shade(bob)) < 60], [true, true]);
  });
  await now("who wants less motion gets none", async () =>
    equal(
      await cleo.page.evaluate(
        () =>
          [...document.querySelectorAll("*")].filter(
            (one) =>
              parseFloat(getComputedStyle(one).transitionDuration) > 0 ||
              getComputedStyle(one).animationName !== "none",
          ).length,
      ),
      0,
    ),
  );
  for (const width of [1024, 800, 640, 500]) {
    await ann.page.setViewportSize({ width, height: 700 });
    await now(`at a width of ${width} nothing is wider than the window`, async () =>
      equal(await fits(ann), [true, true]),
    );
  }
  const boards = await Person.arrive(topic, browser, `${address}live`, "Eve");
  await check("the dashboard: axe finds nothing", async () =>
    equal([await boards.connected(), await faults(boards)], [true, []]),
  );
  await boards.page.emulateMedia({ colorScheme: "dark" });
  await check("the dashboard, dark: axe finds nothing", async () => equal(await faults(boards, COLOURS), []));

  // A phone.
  for (const colorScheme of ["light", "dark"]) {
    const dora = await Person.arrive(topic, browser, address, `Dora ${colorScheme}`, {
      colorScheme,
      viewport: { width: 360, height: 740 },
      isMobile: true,
      hasTouch: true,
      deviceScaleFactor: 2,
    });
    const fitting = (what) =>
      check(`phone, ${colorScheme}: ${what} is not wider than the screen, and axe finds nothing`, async () =>
        equal(
          [await fits(dora), await faults(dora, colorScheme === "dark" ? COLOURS : EVERYTHING)],
          [[true, true], []],
        ),
      );
    await fitting("the door");
    await dora.enter("lobby");
    await check(`phone, ${colorScheme}: Dora is in, with what was said`, async () =>
      equal([await dora.heading(), await dora.sees("Is there soup?")], ["#lobby", true]),
    );
    await dora.say("From the train.");
    await check(`phone, ${colorScheme}: she can talk`, () => dora.sees("From the train."));
    await fitting("the talk");
    await dora.shot(topic, `phone-${colorScheme}-talk`);
    const view = (name) => dora.page.getByRole("navigation", { name: "Views" }).getByRole("button", { name }).tap();
    await view(/^Rooms and people/);
    await fitting("the list of rooms and people");
    await dora.shot(topic, `phone-${colorScheme}-places`);
    await view("Wire");
    for (const part of ["Calls", "Frames", "Opening handshake"]) {
      await dora.page.getByRole("tab", { name: part }).tap();
      await fitting(`the wire's ${part}`);
      await dora.shot(topic, `phone-${colorScheme}-${part.toLowerCase().replace(" ", "-")}`);
    }
    await view(/^Rooms and people/);
    await dora.open("Bob");
    await check(
      `phone, ${colorScheme}: a tap on a person opens the talk with them`,
      async () => (await dora.heading()) === "Bob",
    );
    await bob.open(`Dora ${colorScheme}`);
    await bob.say("Where are you?");
    await check(`phone, ${colorScheme}: an answer is seen`, () => dora.sees("Where are you?"));
    await view("Wire");
    await bob.say("Hello?");
    await check(`phone, ${colorScheme}: and counted while another part is on screen`, async () =>
      equal(await dora.page.locator("#elsewhere").textContent(), "1"),
    );
    await dora.page.goto(`${address}live`);
    await check(`phone, ${colorScheme}: the dashboard is connected`, () => dora.connected());
    await fitting("the dashboard");
    await dora.shot(topic, `phone-${colorScheme}-live`);
    await dora.context.close();
  }
}
