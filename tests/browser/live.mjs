// The dashboard: counters pushed four times a second to those who look.
import { Chat, equal, eventually, sleep } from "./harness.mjs";
import { Person, chatter, enterAll } from "./person.mjs";
import { Socket, blank, newId } from "./raw.mjs";

const FIELDS = [
  "uptime",
  "connections",
  "people",
  "rooms",
  "messages_in",
  "messages_out",
  "bytes_in",
  "bytes_out",
  "queued",
  "stored",
  "waiting",
  "commit_us",
  "group",
  "turns",
];

/** Counters that were pushed from now on: older ones may have been waiting to be read. */
async function fresh(watcher) {
  const asked = Date.now();
  for (;;) {
    const counters = await watcher.next("counters");
    if (counters.time > asked) return counters;
  }
}

export async function live(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program, "--rate", "0");
  const { address } = chat;
  const page = await blank(topic, browser, address);

  // What is pushed.
  const watcher = await Socket.open(page, address, "live/ws");
  const first = await watcher.next("counters");
  const idle = [];
  for (let count = 0; count < 8; count += 1) idle.push(await watcher.next("counters"));
  await now("counters come every 250 ms without being asked for", () => {
    const every = (idle.at(-1).time - first.time) / 8;
    if (every < 200 || every > 350) throw new Error(`every ${every} ms`);
    equal(Math.abs(first.time - Date.now()) < 60_000, true);
  });
  await now("with every field, all of them integers", () =>
    equal(
      [...FIELDS, "time"].filter((field) => !Number.isSafeInteger(first[field]) || first[field] < 0),
      [],
    ),
  );
  await watcher.send("what?", "{}");
  await check("a text is ignored", async () => {
    equal((await watcher.next("counters", "error")).type, "counters");
  });
  const writers = await Promise.all(["Una", "Val"].map((name) => Socket.enter(page, address, name, "den")));
  const before = await fresh(watcher);
  for (let number = 0; number < 20; number += 1)
    await writers[number % 2].answer({ type: "say", id: newId(), room: "den", text: `number ${number}` }, "ack");
  await check("they count what happens: 20 messages are 20 in, and stored, and at least 60 out", async () => {
    const after = await fresh(watcher);
    equal(
      [
        after.messages_in - before.messages_in,
        after.stored - before.stored,
        after.messages_out - before.messages_out >= 60,
      ],
      [20, 20, true],
    );
    equal([after.people, after.rooms, after.connections, after.queued, after.waiting], [2, 1, 3, 0, 0]);
    equal(
      [after.bytes_in > before.bytes_in, after.bytes_out > before.bytes_out, after.commit_us > 0, after.group >= 1],
      [true, true, true, true],
    );
  });
  const binary = await Socket.open(page, address, "live/ws");
  await binary.send(3);
  await check("binary is answered with Close 1003", async () => equal((await binary.next("none")).closed, 1003));
  const { turns } = await fresh(watcher);
  await watcher.close();
  await sleep(3_000);
  const later = await (await Socket.open(page, address, "live/ws")).next("counters");
  await now("while nobody looks, nothing is pushed: the loop has nothing to do", () => {
    if (later.turns - turns > 9) throw new Error(`${later.turns - turns} turns in 3 s`);
  });

  // The page.
  const [ann, bob, cleo] = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name, at) => Person.arrive(topic, browser, at ? address : `${address}live`, name)),
  );
  await enterAll([bob, cleo], "lobby");
  const tile = async (label) => {
    const words = await ann.page
      .getByRole("list", { name: "Now" })
      .getByRole("listitem")
      .filter({ hasText: label })
      .locator(".value")
      .textContent();
    return Number(words.replaceAll(",", "").replace(/[^\d.].*$/, ""));
  };
  await check("the page is connected", async () => equal(await ann.light.textContent(), "Connected"));
  await check("it counts people and rooms", async () => equal([await tile("People"), await tile("Rooms")], [4, 2]));
  const charts = () =>
    ann.page
      .locator("#charts svg, #charts canvas")
      .evaluateAll((all) => all.map((one) => (one.toDataURL ? one.toDataURL() : one.innerHTML)));
  const [still] = [await charts()];
  const stops = [chatter(bob, 50), chatter(cleo, 50)];
  await check("messages a second move with what is said", async () => (await tile("Messages a second")) > 5);
  await check("so do the charts", async () => {
    const moved = await charts();
    equal([moved.length >= 4, moved.some((one, at) => one !== still[at])], [true, true]);
  });
  const cell = (row, column) =>
    ann.page
      .getByRole("row")
      .filter({ has: ann.page.getByRole("rowheader", { name: row, exact: true }) })
      .getByRole("cell")
      .nth(column)
      .textContent();
  await check(
    "the table says the same in numbers",
    async () => Number((await cell("Messages committed", 1)).replaceAll(",", "")) > 20,
  );
  await ann.page.waitForTimeout(1500); // something to see in the pictures
  await ann.shot(topic, "live-light");
  await ann.page.emulateMedia({ colorScheme: "dark" });
  await ann.shot(topic, "live-dark");
  let said = 0;
  for (const stop of stops) said += (await stop()).length;
  await check("in the end it is what was said", async () =>
    equal(Number((await cell("Messages committed", 1)).replaceAll(",", "")), 20 + said),
  );
  await check("and no more messages come in", async () =>
    equal([await cell("Messages in", 0), (await tile("Messages a second")) < 10], ["0/s", true]),
  );
  await now("the page asked for nothing", async () => {
    const asked = await ann.page.evaluate(
      () =>
        performance
          .getEntriesByType("resource")
          .filter(({ initiatorType }) => initiatorType === "fetch" || initiatorType === "xmlhttprequest").length,
    );
    equal(asked, 0);
  });
  await chat.kill();
  await check("when the server is gone it says so", async () => /Reconnecting/.test(await ann.light.textContent()));
  await chat.start("--rate", "0");
  await check(
    "and goes on with the next one, from its beginning",
    async () => {
      equal(await ann.light.textContent(), "Connected");
      equal(await cell("Messages committed", 1), "0");
    },
    30_000,
  );
  await eventually(async () => (await bob.connected()) && (await cleo.connected()), 30_000);
  await check("with the people who came back", async () => equal(await tile("People"), 2));
}
