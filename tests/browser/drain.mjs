// SIGTERM: the pages are sent away with 1001, and go on with the next server on the same port.
import { Chat, equal } from "./harness.mjs";
import { Person, chatter, enterAll, sameOnAll } from "./person.mjs";
import { ask, upgrade } from "./raw.mjs";

export async function drain(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program, "--drain", "4");
  const people = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, chat.address, name)),
  );
  const [ann, bob, cleo] = people;
  await enterAll(people, "lobby");
  const talking = [chatter(bob), chatter(cleo)];
  await check("they talk", async () => (await ann.lines()).length > 3);

  const began = performance.now();
  chat.signal("SIGTERM");
  await check("while it drains, /healthz is 503, and says why", async () => {
    const { status, body } = await ask(chat.address, "/healthz");
    equal([status, body.toString().trim()], [503, "draining"]);
  });
  await now("a new connection is told to come back later: 503 with Retry-After", async () => {
    const { status, headers } = await upgrade(chat.address, "ws");
    equal([status, Number(headers["retry-after"]) >= 1], [503, true]);
  });
  let code = null;
  chat.ended.then((ended) => {
    code = ended;
  });
  await check("it ends with 0 when all are gone", () => code === 0);
  await now("within the time it was given", () => equal(performance.now() - began < 7_000, true));
  await check("every page says that it was sent away, with 1001", async () => {
    for (const person of people)
      equal(/Closed: 1001, shutting down/.test(await person.page.locator("#calls").textContent()), true);
  });
  await ann.say("Ann between the servers");
  await check("what is written meanwhile is pending", async () =>
    equal(
      (await ann.waiting()).map(({ text }) => text),
      ["Ann between the servers"],
    ),
  );
  await chat.start();
  await check(
    "the pages go on with the next server on the same port",
    async () => equal(await Promise.all(people.map((person) => person.state())), ["open", "open", "open"]),
    30_000,
  );
  const texts = ["Ann between the servers"];
  for (const stop of talking) texts.push(...(await stop()));
  await check(
    "everything is on all three pages once, in the order of the server, nothing waits",
    async () => equal((await sameOnAll(people, texts.length)).length, texts.length),
    20_000,
  );
}
