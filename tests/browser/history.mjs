// What was said before: the last 50, older ones by scrolling back, and all of it after kill -9.
import { Chat, equal, eventually } from "./harness.mjs";
import { Person, enterAll, sameOnAll } from "./person.mjs";
import { Socket, blank, historyOf, newId } from "./raw.mjs";

const TOTAL = 180;

export async function history(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program, "--rate", "0");
  const { address } = chat;
  const page = await blank(topic, browser, address);
  const writer = await Socket.enter(page, address, "Quill", "library");
  const texts = Array.from({ length: TOTAL }, (_, at) => `page ${at + 1}`);
  for (const text of texts) await writer.answer({ type: "say", id: newId(), room: "library", text }, "ack");

  const ann = await Person.arrive(topic, browser, address, "Ann");
  await ann.enter("library");
  const top = () =>
    ann.log.evaluate((log) => {
      log.scrollTop = 0;
    });
  const atEnd = () => ann.log.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4);
  await check("who comes in sees the last 50, at the end of the log", async () => {
    equal(
      (await ann.lines()).map(({ text }) => text),
      texts.slice(-50),
    );
    equal(await atEnd(), true);
  });
  await top();
  await check("scrolling back brings 50 older ones, above what is there", async () =>
    equal(
      (await ann.lines()).map(({ text }) => text),
      texts.slice(-100),
    ),
  );
  // Where the text that one reads stands: that of the first line wholly below the log's upper edge.
  const reading = await ann.log.evaluate((log) => {
    log.scrollTop = 120;
    const from = log.getBoundingClientRect().top;
    const text = [...log.querySelectorAll(".text")].find((one) => one.getBoundingClientRect().top > from);
    return [text.textContent, Math.round(text.getBoundingClientRect().top)];
  });
  await eventually(async () => (await ann.lines()).length === 150);
  await now("and the text one was reading stays where it is", async () => {
    const place = await ann.log
      .getByText(reading[0], { exact: true })
      .evaluate((text) => Math.round(text.getBoundingClientRect().top));
    if (Math.abs(place - reading[1]) > 4) throw new Error(`${reading[0]} moved from ${reading[1]} to ${place}`);
  });
  await top();
  await check("up to the first one, and then it says so", async () => {
    equal(
      (await ann.lines()).map(({ text }) => text),
      texts,
    );
    equal(await ann.log.getByText("This is where the room begins").count(), 1);
  });
  await writer.answer({ type: "say", id: newId(), room: "library", text: "the end" }, "ack");
  await check("what is said meanwhile is counted below", () =>
    ann.page.getByRole("button", { name: "1 new message below" }).isVisible(),
  );
  await ann.page.getByRole("button", { name: "1 new message below" }).click();
  await check("and one press leads there", async () => {
    equal([await atEnd(), (await ann.lines()).at(-1).text], [true, "the end"]);
  });

  // kill -9, with three people in the room and a new process on the same port and database.
  const bob = await Person.arrive(topic, browser, address, "Bob");
  const cleo = await Person.arrive(topic, browser, address, "Cleo");
  await enterAll([bob, cleo], "library");
  await ann.say("Ann, before");
  await bob.say("Bob, before");
  await check("their messages are acknowledged", () => ann.acks.size === 1 && bob.acks.size === 1);
  const kept = await historyOf(page, address, "library");
  await chat.kill();
  await check("all three say that the connection is lost", async () => {
    for (const person of [ann, bob, cleo])
      equal([person.name, ["waiting", "connecting"].includes(await person.state())], [person.name, true]);
  });
  await chat.start("--rate", "0");
  await check(
    "after kill -9 and a new process, all three come back by themselves",
    async () => (await Promise.all([ann, bob, cleo].map((person) => person.connected()))).every(Boolean),
    20_000,
  );
  await now("nothing is lost of what the old one had", async () =>
    equal(await historyOf(page, address, "library"), kept),
  );
  await ann.say("Ann, after");
  await check("and nobody sees anything twice or out of order", async () => {
    for (const person of [ann, bob, cleo]) {
      const lines = await person.lines();
      equal(lines.map(({ text }) => text).slice(-4), ["the end", "Ann, before", "Bob, before", "Ann, after"]);
      equal([new Set(lines.map(({ id }) => id)).size, lines.length], [lines.length, lines.length]);
    }
  });
  await check("the rest of the history is still there to scroll back to", async () => {
    for (const person of [bob, cleo])
      await person.log.evaluate((log) => {
        log.scrollTop = 0;
      });
    equal((await sameOnAll([ann, bob, cleo], TOTAL + 4)).map(({ text }) => text).slice(0, TOTAL), texts);
  });
  const dora = await Person.arrive(topic, browser, address, "Dora");
  for (const person of [ann, bob, cleo]) await person.context.close();
  await dora.enter("elsewhere");
  await check("a room with a history and nobody in it is offered to who comes next", async () =>
    equal(await dora.page.getByRole("list", { name: "Other rooms" }).locator(".name").allTextContents(), ["#library"]),
  );
  await dora.page.getByRole("list", { name: "Other rooms" }).getByRole("button", { name: "#library" }).click();
  await check("and shows what was said there", async () =>
    equal(
      (await dora.lines()).map(({ text }) => text),
      [...texts, "the end", "Ann, before", "Bob, before", "Ann, after"].slice(-50),
    ),
  );
  await dora.shot(topic, "history-light");
}
