// The messages and their rules, from clients that keep none of them.
import { Chat, equal, eventually } from "./harness.mjs";
import { Socket, blank, historyOf, newId, secretOf } from "./raw.mjs";

const hello = (name) => ({ type: "hello", name, secret: secretOf(name) });

export async function rules(topic, { browser, program }) {
  const { check } = topic;
  const chat = await Chat.start(topic, program);
  const { address } = chat;
  const page = await blank(topic, browser, address);
  // For the last rule but one, which takes its time.
  const [silent, watcher] = await Promise.all([Socket.open(page, address), Socket.open(page, address, "wire")]);
  const answers = ["welcome", "joined", "left", "ack", "whispered", "history", "error"];

  /** What each message is answered with, on one connection of its own: the type, or an error's code, or a Close's. */
  const rule = (name, messages, wanted) =>
    check(
      name,
      async () => {
        const socket = await Socket.open(page, address);
        const seen = [];
        for (const message of messages) {
          const { type, code, closed } = await socket.answer(message, ...answers);
          seen.push(closed ?? code ?? type);
          if (type === "joined") await socket.next("history");
          if (closed) break;
        }
        await socket.close();
        equal(seen, wanted);
      },
      0,
    );
  const say = (room, text, id = newId()) => ({ type: "say", id, room, text });

  await rule(
    "before hello there is nothing but an error",
    [
      { type: "join", room: "lobby" },
      { type: "shout", id: newId(), text: "hey" },
      { type: "typing", room: "lobby" },
      hello("Rae"),
    ],
    ["hello_first", "hello_first", "hello_first", "welcome"],
  );
  await rule(
    "what is no message is an error, and the connection stays",
    [
      "{",
      "",
      "[]",
      "null",
      "7",
      "{}",
      { type: "dance" },
      { type: "hello" },
      { type: "hello", name: 7, secret: secretOf("x") },
      { type: "hello", name: "Rae" },
      hello("Rae"),
    ],
    [...Array(10).fill("bad_message"), "welcome"],
  );
  await rule(
    "a name has 1 to 32 characters, none a control character, no space around",
    ["", " ", "x".repeat(33), "a\u0000b", "a\nb", " Rae", "Rae ", "🦀".repeat(32)].map((name) => ({
      ...hello("x"),
      name,
    })),
    [...Array(7).fill("bad_name"), "welcome"],
  );
  await rule(
    "a secret has 16 to 64 characters of the URL's alphabet",
    ["", "x".repeat(15), "x".repeat(65), "ä".repeat(16), `${"x".repeat(16)} `, "x".repeat(64)].map((secret) => ({
      ...hello("Sam"),
      secret,
    })),
    [...Array(5).fill("bad_secret"), "welcome"],
  );
  await rule(
    "hello is said once",
    [hello("Rae"), hello("Rae"), hello("Mia")],
    ["welcome", "hello_again", "hello_again"],
  );
  await rule(
    "a room's name has the same bounds as a person's",
    [
      hello("Rae"),
      ...["", "x".repeat(33), "a\u007fb", " cellar"].map((room) => ({ type: "join", room })),
      { type: "join", room: "🦀".repeat(32) },
    ],
    ["welcome", ...Array(4).fill("bad_room"), "joined"],
  );
  await rule(
    "a room is joined once, left once, and talked to from the inside",
    [
      hello("Rae"),
      say("den", "a"),
      { type: "leave", room: "den" },
      { type: "join", room: "den" },
      { type: "join", room: "den" },
      say("den", "b"),
      { type: "leave", room: "den" },
      { type: "leave", room: "den" },
      say("den", "c"),
      { type: "history", room: "den" },
    ],
    [
      "welcome",
      "not_in_room",
      "not_in_room",
      "joined",
      "already_in",
      "ack",
      "left",
      "not_in_room",
      "not_in_room",
      "not_in_room",
    ],
  );
  await rule(
    "a text has 1 to 2000 characters",
    [
      hello("Rae"),
      { type: "join", room: "den" },
      say("den", ""),
      say("den", "x".repeat(2001)),
      say("den", "🦀".repeat(2000)),
      { type: "shout", id: newId(), text: "x".repeat(2001) },
      { type: "whisper", id: newId(), to: "Rae", text: "x".repeat(2001) },
    ],
    ["welcome", "joined", "bad_text", "too_long", "ack", "too_long", "too_long"],
  );
  await rule(
    "an id has 8 to 64 characters of the URL's alphabet",
    [
      hello("Rae"),
      { type: "join", room: "den" },
      ...["", "x".repeat(7), "x".repeat(65), "with a space", "ümlaut-12"].map((id) => say("den", "a", id)),
      { type: "say", room: "den", text: "a" },
      say("den", "a", newId().padEnd(64, "z")),
    ],
    ["welcome", "joined", ...Array(5).fill("bad_id"), "bad_message", "ack"],
  );
  await rule(
    "history is asked before a message or after one, not both",
    [
      hello("Rae"),
      { type: "join", room: "den" },
      { type: "history", room: "den", before: 5, after: 2 },
      { type: "history", room: "den", before: -1 },
      { type: "history", room: "den", before: 1 },
      { type: "history", room: "den", after: 2 ** 53 - 1 },
      { type: "history", room: "den" },
    ],
    ["welcome", "joined", "bad_message", "bad_message", "history", "history", "history"],
  );
  await rule(
    "a whisper needs somebody to hear it",
    [hello("Rae"), { type: "whisper", id: newId(), to: "Nobody", text: "hey" }, { type: "whisper", to: "Rae" }],
    ["welcome", "nobody", "bad_message"],
  );
  await rule("a field that nobody knows is ignored", [{ ...hello("Rae"), mood: "fine" }], ["welcome"]);
  await rule("binary is answered with Close 1003", [hello("Rae"), 3], ["welcome", 1003]);
  await rule(
    "16 KiB are a message, one byte more is Close 1009",
    [JSON.stringify(hello("Rae")).padEnd(16 * 1024), "x".repeat(16 * 1024 + 1)],
    ["welcome", 1009],
  );

  await check("an error says what was wrong in words, and to which message", async () => {
    const socket = await Socket.enter(page, address, "Rae", "den");
    const id = newId();
    const { code, message, room, ...rest } = await socket.answer(say("den", "x".repeat(2001), id), "error");
    equal(
      [code, rest.id, "retry" in rest, /2000/.test(message), message.length > 20],
      ["too_long", id, false, true, true],
    );
    await socket.close();
  });
  await check(
    "a message that is sent again is only acknowledged again, and stored once",
    async () => {
      const [one, other] = [
        await Socket.enter(page, address, "One", "again"),
        await Socket.enter(page, address, "Other", "again"),
      ];
      const id = newId();
      const first = await one.answer(say("again", "once", id), "ack");
      const second = await one.answer(say("again", "once", id), "ack");
      equal(second, first);
      equal((await one.answer(say("again", "another text", id), "error", "ack")).code, "id_reused");
      await one.answer({ type: "join", room: "again 2" }, "history");
      equal((await one.answer(say("again 2", "once", id), "error", "ack")).code, "id_reused");
      const last = await one.answer(say("again", "the end"), "ack");
      equal(last.seq > first.seq, true);
      await eventually(async () => (await other.heard()).some(({ text }) => text === "the end"));
      equal(
        (await other.heard()).filter(({ type }) => type === "said").map(({ text }) => text),
        ["once", "the end"],
      );
      await Promise.all([one.close(), other.close()]);
      equal(
        (await historyOf(page, address, "again")).map(({ id: stored, seq, text }) => [stored, seq, text]),
        [
          [id, first.seq, "once"],
          [last.id, last.seq, "the end"],
        ],
      );
    },
    0,
  );
  await check("said comes before its ack, with what was stored", async () => {
    const socket = await Socket.enter(page, address, "Rae", "order");
    const id = newId();
    await socket.answer(say("order", "first", id), "ack");
    const [said, ack] = (await socket.heard()).slice(-2);
    equal(
      [
        said.type,
        said.id,
        said.from,
        said.text,
        ack.type,
        ack.seq === said.seq,
        Math.abs(said.time - Date.now()) < 60_000,
      ],
      ["said", id, "Rae", "first", "ack", true, true],
    );
    await socket.close();
  });
  await check("the welcome tells who is here, the rooms used last first, and the limits", async () => {
    const [one, two] = [await Socket.enter(page, address, "Wes", "here"), await Socket.open(page, address)];
    const { rooms, people, limits, name, time } = await two.answer(hello("Wim"), "welcome");
    equal(
      [
        name,
        rooms[0],
        people.some((person) => person.name === "Wes" && person.idle === false),
        Math.abs(time - Date.now()) < 60_000,
      ],
      ["Wim", "here", true, true],
    );
    equal(limits, { text: 2000, name: 32, room: 32, rate: 5, burst: 20 });
    await Promise.all([one.close(), two.close()]);
  });

  // How fast.
  await check(
    "21 messages at once are one too many; after the time it tells, the same is taken",
    async () => {
      const socket = await Socket.enter(page, address, "Quick", "rate");
      const all = Array.from({ length: 21 }, (_, at) => say("rate", `number ${at}`));
      await socket.send(...all);
      const refused = await socket.next("error");
      equal(
        [refused.code, refused.id, refused.retry > 0 && refused.retry <= 250, refused.message.length > 20],
        ["rate", all[20].id, true, true],
      );
      await page.waitForTimeout(refused.retry);
      equal((await socket.answer(all[20], "error", "ack")).type, "ack");
      await socket.close();
      equal(
        (await historyOf(page, address, "rate")).map(({ text }) => text),
        all.map(({ text }) => text),
      );
    },
    0,
  );
  await check("shouts and whispers count too", async () => {
    const socket = await Socket.enter(page, address, "Loud");
    await socket.send(
      ...Array.from({ length: 25 }, (_, at) =>
        at % 2
          ? { type: "shout", id: newId(), text: "hey" }
          : { type: "whisper", id: newId(), to: "Loud", text: "hey" },
      ),
    );
    equal((await socket.next("error")).code, "rate");
    await socket.close();
  });
  await check("41 other requests at once are too many", async () => {
    const socket = await Socket.enter(page, address, "Nosy", "nosy");
    await socket.send(...Array.from({ length: 45 }, () => ({ type: "history", room: "nosy" })));
    const { code, retry } = await socket.next("error");
    equal([code, retry > 0], ["rate", true]);
    await socket.close();
  });
  await check(
    "200 refusals in a row are a flood: Close 4002",
    async () => {
      const socket = await Socket.enter(page, address, "Flood", "flood");
      await socket.send(...Array.from({ length: 300 }, (_, at) => say("flood", `number ${at}`)));
      let last;
      do last = await socket.next("error");
      while (!last.closed);
      equal(last.closed, 4002);
      equal((await socket.heard()).filter(({ code }) => code === "rate").length, 200);
    },
    0,
  );
  await check(
    "a connection is in 100 rooms at most",
    async () => {
      const socket = await Socket.enter(page, address, "Everywhere");
      let refusal = null;
      for (let room = 0; room < 101; room += 1) {
        for (;;) {
          const { code, retry } = await socket.answer({ type: "join", room: `room ${room}` }, "joined", "error");
          if (code === "rate") await page.waitForTimeout(retry);
          else {
            refusal = code;
            break;
          }
        }
      }
      equal(refusal, "rooms_full");
      await socket.close();
    },
    0,
  );
  await check(
    "who says no hello within 10 s is closed with 4003",
    async () => {
      for (const { closed, reason, lasted } of await Promise.all([silent.next("none"), watcher.next("none")])) {
        equal([closed, reason.startsWith("no "), lasted > 9_000, lasted < 15_000], [4003, true, true, true]);
      }
    },
    0,
  );
  await topic.now("the server is still running, and has complained of nothing", () =>
    equal([chat.running, /panick/.test(chat.log)], [true, false]),
  );
}
