// How long and how fast, as a person meets it; and texts and names that want to be more than text.
import { Chat, equal } from "./harness.mjs";
import { Person, enterAll, sameOnAll } from "./person.mjs";
import { Socket, blank, newId, secretOf } from "./raw.mjs";

export async function limits(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program);
  const [ann, bob, cleo] = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, address, name)),
  );

  for (const [name, wrong] of [
    ["x".repeat(33), "A name has 1 to 32 characters"],
    ["a\u0007b", "A name has 1 to 32 characters"],
  ]) {
    await ann.enter("lobby", name);
    await check(`the name ${JSON.stringify(name)} is refused in words`, async () =>
      (await ann.alert()).includes(wrong),
    );
  }
  await enterAll([ann, bob, cleo], "lobby");
  await ann.join("x".repeat(33));
  await check("a room's name that is too long is refused in words", async () =>
    (await ann.alert()).includes("The name of a room has 1 to 32 characters"),
  );

  // Length.
  const counter = ann.page.locator("#counter");
  await ann.field.fill("x".repeat(1599));
  await now("a text far from the limit is not counted", async () => equal(await counter.isVisible(), false));
  await ann.field.fill("🦀".repeat(1990));
  await now("near the limit its characters are counted, as the server counts them", async () =>
    equal(await counter.textContent(), "1,990 of 2,000"),
  );
  await ann.field.fill("x".repeat(2003));
  await ann.field.press("Enter");
  await check("beyond it the page says by how much, and keeps the text", async () =>
    equal(
      [await ann.alert(), (await ann.field.inputValue()).length, ann.sent("say").length],
      ["The message is 3 characters too long.", 2003, 0],
    ),
  );
  await ann.field.fill("  \n ");
  await ann.field.press("Enter");
  await now("nothing is said with spaces alone", () => equal(ann.sent("say").length, 0));

  // Rate: twice as many at once as the server takes.
  const many = Array.from({ length: 40 }, (_, at) => `number ${at}`);
  await ann.sayAtOnce(...many);
  await check("who writes faster than the server takes it is told so, and sees what waits", async () => {
    const waiting = await ann.waiting();
    equal(
      [
        /faster than the server takes/.test(await ann.alert()),
        waiting.length > 0,
        waiting.every(({ state }) => state === "pending"),
      ],
      [true, true, true],
    );
  });
  await ann.shot(topic, "rate-light");
  await check(
    "all of it goes out, in turn",
    async () =>
      equal(
        (await bob.texts()).filter((text) => text.startsWith("number ")),
        many,
      ),
    20_000,
  );
  await check("the words are gone then, and the three pages are the same", async () => {
    equal(await ann.alert(), "");
    await sameOnAll([ann, bob, cleo], 40);
  });
  await now("the server had nothing to refuse", () =>
    equal(
      ann.got("error", ({ code }) => code === "rate"),
      [],
    ),
  );

  // A client that does not pace itself, in a page that does: the server's word is kept.
  await bob.page.evaluate(() => {
    const { send } = WebSocket.prototype;
    // Every message leaves three times: the third part of the rate is left for each.
    WebSocket.prototype.send = function thrice(text) {
      for (let time = 0; time < 3; time += 1) send.call(this, text);
    };
  });
  const burst = Array.from({ length: 15 }, (_, at) => `thrice ${at}`);
  await bob.sayAtOnce(...burst);
  await check(
    "a page that is refused for its rate sends again when told, until all is there once",
    async () => {
      equal(
        (await ann.texts()).filter((text) => text.startsWith("thrice ")),
        burst,
      );
      equal(bob.got("error", ({ code, retry }) => code === "rate" && retry > 0).length > 0, true);
      await sameOnAll([ann, bob, cleo], 55);
    },
    20_000,
  );
}

const HOSTILE = [
  `<img src=x onerror="window.pwned=1">`,
  `<script>window.pwned=1</script>`,
  `"><svg onload=window.pwned=1>`,
  `'-window.pwned=1-'`,
  `<iframe srcdoc="<script>top.pwned=1</script>">`,
  `<a href="javascript:window.pwned=1">x</a>`,
  `</p></div><style>*{display:none}</style>`,
  "{{constructor.constructor('window.pwned=1')()}}",
  "${window.pwned=1}",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "\u202Egnp.exe",
  "\u2066\u202Eabc\u2069",
  "مرحبا بالعالم",
  "\u200b\u200d",
  "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d",
  "👩‍👩‍👧‍👦🏴‍☠️",
  "&lt;b&gt;",
  "\\u003cb\\u003e",
  "%3Cb%3E",
];

export async function hostile(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program, "--rate", "0");
  const [ann, bob, cleo] = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, address, name)),
  );
  await enterAll([ann, bob, cleo], "lobby");
  const page = await blank(topic, browser, address);
  const names = HOSTILE.map((text) => [...text].slice(0, 32).join("").trim());
  for (const [at, name] of names.entries()) {
    const socket = await Socket.open(page, address);
    await socket.answer({ type: "hello", name, secret: secretOf(`hostile ${at}`) }, "welcome");
    await socket.answer({ type: "join", room: "lobby" }, "history");
    await socket.answer({ type: "join", room: name }, "history");
    await socket.answer({ type: "say", id: newId(), room: "lobby", text: HOSTILE[at] }, "ack");
    await socket.send({ type: "typing", room: "lobby" });
    await socket.answer({ type: "whisper", id: newId(), to: "Ann", text: HOSTILE[at] }, "whispered");
  }
  await check("hostile names are shown as they are", async () =>
    equal((await ann.names()).sort(), ["Bob", "Cleo", ...names].sort()),
  );
  await check("hostile messages are shown as they are", async () => equal(await ann.texts(), HOSTILE));
  await ann.open("#lobby");
  for (const text of HOSTILE) await ann.say(text);
  await check("said by Ann too", async () => equal((await bob.texts()).slice(HOSTILE.length), HOSTILE));
  const pages = [ann, bob, cleo];
  const elements = ({ page: shown }) =>
    shown.evaluate(() => [
      document.querySelectorAll("img, iframe, script:not([src]), style, svg, a[href^=javascript]").length,
      document.querySelectorAll(".text *, .bytes code *, dd code *, .name *").length,
      typeof window.pwned,
      Object.prototype.pwned === undefined,
    ]);
  await check("no element came of it, and no script ran", async () => {
    for (const person of pages) equal(await elements(person), [0, 0, "undefined", true]);
  });
  await check("a whisper from a hostile name is read under it", async () => {
    await ann.open(names[0]);
    equal([await ann.heading(), await ann.texts()], [names[0], [HOSTILE[0]]]);
  });
  await ann.open("Bob");
  await ann.say(...HOSTILE.slice(0, 3));
  await check("a hostile whisper to Bob is text on both pages", async () => {
    await bob.open("Ann");
    equal([await bob.texts(), await ann.texts()], [HOSTILE.slice(0, 3), HOSTILE.slice(0, 3)]);
  });
  await cleo.join("<b>room</b>");
  await check("a hostile room is opened by its name", async () => equal(await cleo.heading(), "#<b>room</b>"));
  await ann.open("#lobby");
  const long = "W".repeat(2000);
  await bob.open("#lobby");
  await bob.say(long, `${"\u202E"}${"verylongword".repeat(100)}`);
  await check("a word of 2000 letters is there, and makes nothing wider than the page", async () => {
    equal(await ann.sees(long), true);
    for (const person of pages) {
      equal(
        await person.page.evaluate(() => [
          document.documentElement.scrollWidth <= innerWidth,
          document.getElementById("log").scrollWidth <= document.getElementById("log").clientWidth,
        ]),
        [true, true],
      );
    }
  });
  await now("a name that turns the direction of writing turns only itself", async () =>
    equal(
      await ann.people
        .locator(".name")
        .evaluateAll((all) => all.every((one) => getComputedStyle(one).unicodeBidi.includes("isolate"))),
      true,
    ),
  );
  await ann.shot(topic, "hostile-light");
  const mallory = await Person.arrive(topic, browser, address, "<b onclick=alert(3)>M");
  await mallory.enter("lobby");
  await check("one's own hostile name is text as well", async () =>
    equal(
      [await mallory.page.locator("#me").textContent(), await mallory.page.title()],
      [mallory.name, `${mallory.name} · wireroom chat`],
    ),
  );
  await mallory.open("Ann");
  await ann.context.close();
  await check("and no element came of it in the end", async () => {
    for (const person of [bob, cleo, mallory]) equal(await elements(person), [0, 0, "undefined", true]);
  });
}
