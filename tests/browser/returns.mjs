// Coming back to what is no longer the same: a name that is taken, more rooms than may be joined at once, much that was
// missed, another history.
import { rm } from "node:fs/promises";
import { Chat, equal } from "./harness.mjs";
import { Person, enterAll, sameOnAll } from "./person.mjs";
import { Socket, blank, historyOf, newId, secretOf } from "./raw.mjs";

const ROOMS = 60; // a connection may join 40 at once

export async function returns(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program, "--rate", "0");
  const { address } = chat;
  const people = await Promise.all(["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, address, name)));
  const [ann, bob, cleo] = people;
  await enterAll(people, "lobby");
  const page = await blank(topic, browser, address);
  const writer = await Socket.enter(page, address, "Quill", "lobby");

  /** So many messages at once; answers when all are stored. */
  const write = async (count, what) => {
    await writer.send(
      ...Array.from({ length: count }, (_, at) => ({
        type: "say",
        id: newId(),
        room: "lobby",
        text: `${what} ${at + 1}`,
      })),
    );
    let last;
    do last = await writer.next("said", "error");
    while (last.text !== `${what} ${count}` && last.type !== "error" && !last.closed);
    equal(last.text, `${what} ${count}`);
  };
  /** What is on the page is the end of what the server has, without a gap. */
  const tail = async (person) => {
    const lines = await person.lines();
    const stored = (await historyOf(page, address, "lobby", lines.length)).slice(-lines.length);
    equal(
      lines,
      stored.map(({ seq, id, text }) => ({ seq, id, text })),
    );
    return lines.length;
  };

  // Much that was missed.
  await ann.say("Ann before");
  await check("they talk", () => cleo.sees("Ann before"));
  await ann.context.setOffline(true);
  await write(230, "missed");
  await ann.context.setOffline(false);
  await check("who missed five pages has all of them", () => sameOnAll(people, 231), 30_000);
  await ann.context.setOffline(true);
  await write(3200, "long missed");
  await ann.context.setOffline(false);
  await check(
    "who missed very much has the end of it, without a gap",
    async () => (await ann.sees("long missed 3200")) && (await tail(ann)) >= 50,
    30_000,
  );
  const before = (await ann.lines()).length;
  await ann.log.evaluate((log) => {
    log.scrollTop = 0;
  });
  await check("and can scroll back to the rest", async () => {
    equal((await ann.lines()).length >= Math.min(before + 50, 3431), true);
    await tail(ann);
  });
  await check("who was there has all of it", async () => equal((await bob.lines()).length, 3431));

  // A name that somebody else has meanwhile.
  const spots = Array.from({ length: 3 }, () => 0);
  for (const [at] of spots.entries()) {
    await chat.kill();
    if (at === 0) await ann.say("Ann, waiting");
    await chat.start("--rate", "0");
    const thief = await Socket.open(page, address);
    const { type, code } = await thief.answer(
      { type: "hello", name: "Ann", secret: secretOf("thief") },
      "welcome",
      "error",
    );
    if (type === "welcome") {
      spots[at] = thief;
      break;
    }
    equal(code, "name_taken"); // Ann was faster: once more
  }
  await check(
    "who finds the name taken is asked for another one, in words",
    async () =>
      equal(
        [
          /Somebody called Ann.*another name/s.test(await ann.alert()),
          await ann.page.getByLabel("Another name").isVisible(),
        ],
        [true, true],
      ),
    30_000,
  );
  await ann.shot(topic, "renamed-light");
  await ann.page.getByLabel("Another name").fill("Anna");
  await ann.page.getByRole("button", { name: "Come in" }).click();
  await check("and comes in under it, to the same room", async () =>
    equal(
      [await ann.connected(), await ann.heading(), await ann.page.locator("#me").textContent()],
      [true, "#lobby", "Anna"],
    ),
  );
  await check(
    "where what waited is said once",
    async () => {
      const stored = await historyOf(page, address, "lobby", 200);
      equal(stored.filter(({ text }) => text === "Ann, waiting").length, 1);
      equal([await bob.times("Ann, waiting"), (await ann.waiting()).length], [1, 0]);
    },
    30_000,
  );

  // Many rooms.
  const crowd = await browser.newContext();
  topic.later(() => crowd.close());
  const rooms = Array.from({ length: ROOMS }, (_, at) => `room ${at + 1}`);
  await crowd.addInitScript((session) => sessionStorage.setItem("wireroom.session", JSON.stringify(session)), {
    name: "Dora",
    secret: secretOf("Dora"),
    rooms,
  });
  const dora = new Person(await crowd.newPage(), "Dora");
  topic.people.push(dora);
  await dora.page.goto(address);
  await check(
    `who was in ${ROOMS} rooms is in all of them again`,
    async () => {
      equal(dora.got("joined").length, ROOMS);
      equal(dora.got("history").length >= ROOMS, true);
      equal(await dora.rooms.locator(".size").count(), ROOMS);
    },
    30_000,
  );
  await now("and was told nothing that is not true", async () => equal(await dora.alert(), ""));
  await dora.say("Dora in one of them");
  await check("and can talk there", async () =>
    equal([await dora.sees("Dora in one of them"), (await dora.waiting()).length], [true, 0]),
  );
  await crowd.close();

  // Another history: somebody has put a new database in the place of the old one.
  await chat.kill();
  await Promise.all(["", "-wal", "-shm"].map((end) => rm(chat.database + end, { force: true })));
  await bob.say("Bob into the new one");
  await chat.start("--rate", "0");
  await check(
    "all three come back to a server that knows nothing",
    async () => equal(await Promise.all(people.map((person) => person.state())), ["open", "open", "open"]),
    30_000,
  );
  await check("what waited is said there", async () =>
    equal(
      (await historyOf(page, address, "lobby")).map(({ text }) => text),
      ["Bob into the new one"],
    ),
  );
  await ann.say("Anna, too");
  await check("and everybody sees what is there now, the same on all pages", async () => {
    equal(
      (await historyOf(page, address, "lobby")).map(({ text }) => text),
      ["Bob into the new one", "Anna, too"],
    );
    const shown = await Promise.all(
      people.map(async (person) => (await person.lines()).slice(-2).map(({ text }) => text)),
    );
    equal(
      shown,
      people.map(() => ["Bob into the new one", "Anna, too"]),
    );
    for (const person of people) equal([person.name, (await person.waiting()).length], [person.name, 0]);
  });
}
