// Lost connections, while two others talk: nothing acknowledged is lost, nothing is shown twice, everybody has the same.
import { Chat, equal, sleep, startBrowser } from "./harness.mjs";
import { Cable } from "./cable.mjs";
import { Person, chatter, enterAll, sameOnAll } from "./person.mjs";
import { blank, historyOf } from "./raw.mjs";

const open = async (people) =>
  equal(
    await Promise.all(people.map((person) => person.state())),
    people.map(() => "open"),
  );

/** What everybody sees is what the server has, and it is all that was said. */
async function wholeTruth(people, page, address, room, texts) {
  const lines = await sameOnAll(people, texts.length);
  const stored = await historyOf(page, address, room);
  equal(
    lines,
    stored.map(({ seq, id, text }) => ({ seq, id, text })),
  );
  equal(lines.map(({ text }) => text).sort(), [...texts].sort());
  // In the order each of them wrote it.
  for (const { name } of people) {
    const own = (all) => all.filter((text) => text.startsWith(name));
    equal(own(lines.map(({ text }) => text)), own(texts));
  }
}

/** The server is killed and comes back, several times. */
export async function restarts(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program);
  const people = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, chat.address, name)),
  );
  const [ann, bob, cleo] = people;
  await enterAll(people, "lobby");
  const texts = [];
  const say = async (person, ...some) => {
    texts.push(...some);
    await person.say(...some);
  };

  for (const [time, down] of [
    ["first", 1500],
    ["second", 0],
  ]) {
    const talking = [chatter(bob), chatter(cleo)];
    await say(ann, `Ann before the ${time} kill`);
    await check(`${time} kill: they talk`, () => cleo.sees(`Ann before the ${time} kill`));
    await chat.kill();
    await check(`${time} kill: the light says that it reconnects, in words`, async () => {
      equal(
        [["waiting", "connecting"].includes(await ann.state()), /Reconnecting/.test(await ann.light.textContent())],
        [true, true],
      );
      equal(/Connection lost/.test(await ann.page.locator("#gone").textContent()), true);
    });
    await say(ann, `Ann during the ${time} kill, one`, `Ann during the ${time} kill, two`);
    await now(`${time} kill: what Ann writes stands there as pending`, async () => {
      const waiting = (await ann.waiting()).filter(({ text }) => text.includes(`during the ${time} kill`));
      equal(
        waiting.map(({ state }) => state),
        ["pending", "pending"],
      );
    });
    if (time === "first") await ann.shot(topic, "pending-light");
    await sleep(down);
    await chat.start();
    await check(`${time} kill: all three come back by themselves`, () => open(people), 30_000);
    await check(`${time} kill: what Ann wrote is said`, () => cleo.sees(`Ann during the ${time} kill, two`));
    for (const stop of talking) texts.push(...(await stop()));
    await check(`${time} kill: everything is on all three pages once, in the order of the server, nothing waits`, () =>
      sameOnAll(people, texts.length),
    );
  }
  await now("and it is what the server has, and all that was said", async () =>
    wholeTruth(people, await blank(topic, browser, chat.address), chat.address, "lobby", texts),
  );
  await now("each page has made more than one connection", () =>
    equal(
      people.map(({ sockets }) => sockets >= 3),
      [true, true, true],
    ),
  );

  await chat.kill();
  await check(
    "the page counts down to its next try",
    async () => /Reconnecting in \d+ s/.test(await ann.light.textContent()),
    30_000,
  );
  await ann.shot(topic, "reconnecting-light");
  await chat.start();
  await ann.page.getByRole("button", { name: "Try now" }).click();
  await check("and tries at once when it is asked to", () => ann.connected(), 2_000);

  await check("Bob and Cleo are back too", () => open(people), 30_000);
  await chat.kill();
  await ann.say("Ann before the reload");
  await chat.start();
  await ann.page.reload();
  await check(
    "what was pending when the page is loaded again is said, once",
    async () => {
      await sameOnAll([bob, cleo], texts.length + 1);
      equal(
        [
          await bob.times("Ann before the reload"),
          await ann.times("Ann before the reload"),
          (await ann.waiting()).length,
        ],
        [1, 1, 0],
      );
    },
    30_000,
  );

  // What is kept nowhere is not sent a second time without being asked.
  await ann.open("Bob");
  chat.signal("SIGSTOP");
  await ann.say("Ann to Bob alone");
  await ann.open("Everyone else");
  await ann.say("Ann to all others");
  await check("a whisper and a shout under way are pending", async () =>
    equal(
      (await ann.waiting()).map(({ state }) => state),
      ["pending"],
    ),
  );
  await chat.kill();
  await check("when the connection is lost then, they may not have arrived, and the page says so", async () =>
    equal(
      (await ann.waiting()).map(({ state, words }) => [state, words]),
      [["maybe", "May not have arrived: the connection was lost"]],
    ),
  );
  await ann.shot(topic, "maybe-light");
  await chat.start();
  await check(
    "and stay so when it is back",
    async () => {
      await open(people);
      equal((await ann.waiting()).length, 1);
    },
    30_000,
  );
  await ann.page.getByRole("button", { name: "Send again" }).click();
  await check("the shout is sent again when Ann says so", async () =>
    equal(
      [(await ann.waiting()).length, bob.got("shouted", ({ text }) => text === "Ann to all others").length],
      [0, 1],
    ),
  );
  await ann.open("Bob");
  await ann.page.getByRole("button", { name: "Discard" }).click();
  await check("the whisper is discarded when she says so", async () =>
    equal([(await ann.waiting()).length, bob.got("whispered").length], [0, 0]),
  );
}

/** The network falls silent for one of three: nobody is told. */
export async function cut(topic, { browser, program }) {
  const { check, now } = topic;
  const cable = await Cable.lay(topic);
  const chat = await Chat.start(topic, program, "--allow-origin", cable.origin);
  const ann = await Person.arrive(topic, browser, cable.plug(chat.port), "Ann");
  const [bob, cleo] = await Promise.all(
    ["Bob", "Cleo"].map((name) => Person.arrive(topic, browser, chat.address, name)),
  );
  const people = [ann, bob, cleo];
  await enterAll(people, "lobby");

  // A short one: the same connection goes on.
  cable.cut();
  await bob.say("Bob in the short cut");
  await ann.say("Ann in the short cut");
  await check("a short cut: what is under way waits on both sides", async () =>
    equal(
      [
        (await ann.waiting()).length,
        await ann.sees("Bob in the short cut"),
        await cleo.sees("Bob in the short cut"),
        await cleo.sees("Ann in the short cut"),
      ],
      [1, false, true, false],
    ),
  );
  cable.mend();
  await check("and arrives when it is over, over the same connection", async () => {
    await sameOnAll(people, 2);
    equal(ann.sockets, 1);
  });

  // A long one: the page finds out by itself, because it is owed an answer.
  const talking = [chatter(bob, 1500), chatter(cleo, 2000)];
  cable.cut();
  await ann.say("Ann in the long cut");
  await now("a long cut: the light is still on at first", async () => equal(await ann.state(), "open"));
  await check(
    "a long cut: the page gives the connection up when an answer is owed for 45 s",
    async () => (await ann.state()) !== "open",
    60_000,
  );
  await ann.say("Ann later in the long cut");
  await check("the words say that the server does not answer, and two messages wait", async () =>
    /does not answer.*2 messages wait/s.test(await ann.page.locator("#gone").textContent()),
  );
  await ann.shot(topic, "cut-light");
  await check("the others see her go when the server gives her up too", () => bob.noted("Ann went out."), 30_000);
  cable.mend();
  await check("when the network is back, so is she", () => ann.connected(), 40_000);
  const texts = ["Bob in the short cut", "Ann in the short cut", "Ann in the long cut", "Ann later in the long cut"];
  for (const stop of talking) texts.push(...(await stop()));
  await check("everything is on all three pages once, in the order of the server, nothing waits", () =>
    sameOnAll(people, texts.length),
  );
  await now("and it is what the server has, and all that was said", async () =>
    wholeTruth(people, await blank(topic, browser, chat.address), chat.address, "lobby", texts),
  );

  // The browser itself has no network, and the server is another one when it has.
  await ann.context.setOffline(true);
  await bob.say("Bob while Ann is offline");
  await ann.say("Ann while offline");
  await check("offline: nothing comes in, and what is written waits", async () =>
    equal(
      [
        await cleo.sees("Bob while Ann is offline"),
        await ann.sees("Bob while Ann is offline"),
        (await ann.waiting()).length,
      ],
      [true, false, 1],
    ),
  );
  await chat.kill();
  await chat.start("--allow-origin", cable.origin);
  await check("offline: the others are back without her", () => open([bob, cleo]), 30_000);
  await cleo.say("Cleo while Ann is offline");
  await ann.context.setOffline(false);
  await check(
    "online again: everything is on all three pages once, nothing waits",
    () => sameOnAll(people, texts.length + 3),
    30_000,
  );
}

/** The server stands still for so long that all three give it up; it goes on where it was. */
export async function stalled(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program);
  const people = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, chat.address, name)),
  );
  const [ann, bob, cleo] = people;
  await enterAll(people, "lobby");
  const talking = [chatter(bob), chatter(cleo)];
  await check("they talk", async () => (await ann.lines()).length > 4);
  chat.signal("SIGSTOP");
  const texts = ["Ann to the stopped one", "Bob to the stopped one", "Cleo to the stopped one"];
  const said = (await Promise.all(talking.map((stop) => stop()))).flat();
  for (const [at, person] of people.entries()) await person.say(texts[at]);
  texts.unshift(...said);
  await check("what is written while the server stands still is pending on every page", async () =>
    equal(
      (await Promise.all(people.map((person) => person.waiting()))).map((all) => all.length > 0),
      [true, true, true],
    ),
  );
  await check(
    "all three give it up after 45 s",
    async () => (await Promise.all(people.map((person) => person.state()))).every((state) => state !== "open"),
    60_000,
  );
  chat.signal("SIGCONT");
  await check(
    "when it goes on, all three come back and take their names over from their own dead connections",
    () => open(people),
    40_000,
  );
  await check("everything is on all three pages once, in the order of the server, nothing waits", () =>
    sameOnAll(people, texts.length),
  );
  await now("and it is what the server has, and all that was said", async () =>
    wholeTruth(people, await blank(topic, browser, chat.address), chat.address, "lobby", texts),
  );
}

/** A laptop sleeps: every process of one browser stands still for longer than the page takes for a nap. */
export async function sleeping(topic, { browser, program, chromium }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program);
  const laptop = await startBrowser(chromium);
  topic.later(laptop.stop);
  const ann = await Person.arrive(topic, laptop.browser, chat.address, "Ann");
  const [bob, cleo] = await Promise.all(
    ["Bob", "Cleo"].map((name) => Person.arrive(topic, browser, chat.address, name)),
  );
  const people = [ann, bob, cleo];
  await enterAll(people, "lobby");
  await ann.say("Ann before she sleeps");
  await check("they talk", () => bob.sees("Ann before she sleeps"));
  const devtools = await laptop.browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const signal = (name) => {
    for (const { id } of processInfo) process.kill(id, name);
  };
  const wake = () => signal("SIGCONT");
  process.on("exit", wake);
  topic.later(() => {
    process.off("exit", wake);
    wake();
  });
  const talking = [chatter(bob, 1000), chatter(cleo, 1500)];
  signal("SIGSTOP");
  await sleep(34_000);
  signal("SIGCONT");
  await check(
    "whoever has slept makes a new connection at once",
    async () => equal([await ann.connected(), ann.sockets], [true, 2]),
    15_000,
  );
  const texts = ["Ann before she sleeps", "Ann is awake"];
  await ann.say("Ann is awake");
  for (const stop of talking) texts.push(...(await stop()));
  await check("everything is on all three pages once, in the order of the server, nothing waits", () =>
    sameOnAll(people, texts.length),
  );
  await now("and it is what the server has, and all that was said", async () =>
    wholeTruth(people, await blank(topic, browser, chat.address), chat.address, "lobby", texts),
  );
  // Her page lets go of the old connection as it wakes: whether the server hears that or the new one first, is chance.
  await now("if the others have seen her go, they have seen her come back", async () => {
    const notes = (await bob.notes()).filter((note) => note.startsWith("Ann"));
    equal(["", "Ann went out.|Ann came in."].includes(notes.join("|")), true);
  });
}
