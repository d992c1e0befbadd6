// The wire made visible: the opening handshake of this very connection, its frames, and the calls.
import { createHash } from "node:crypto";
import { Chat, equal, eventually } from "./harness.mjs";
import { Person, enterAll } from "./person.mjs";
import { Socket, blank, newId, secretOf } from "./raw.mjs";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const hello = (name) => ({ type: "hello", name, secret: secretOf(name) });
const bytes = (message) => Buffer.byteLength(JSON.stringify(message));

/** The rows of the list of frames, the latest first. */
const rows = (person) =>
  person.page.locator("#frames > li.frame").evaluateAll((all) =>
    all.map((row) => ({
      opcode: Number(row.dataset.opcode),
      direction: row.dataset.direction,
      words: [...row.querySelectorAll("p")].map((part) => part.textContent).join(" | "),
    })),
  );

export async function panel(topic, { browser, program }) {
  const { check, now } = topic;
  const { address } = await Chat.start(topic, program, "--rate", "0");
  const [ann, bob, cleo] = await Promise.all(
    ["Ann", "Bob", "Cleo"].map((name) => Person.arrive(topic, browser, address, name)),
  );

  // What the browser itself says that it sent and got, to hold the panel against.
  await ann.context.addCookies([{ name: "session", value: "topsecret", url: address }]);
  const devtools = await ann.context.newCDPSession(ann.page);
  const seen = {};
  await devtools.send("Network.enable");
  devtools.on("Network.webSocketCreated", ({ requestId, url }) => {
    if (url.endsWith("/ws?wire")) seen.id = requestId;
  });
  devtools.on("Network.webSocketWillSendHandshakeRequest", ({ requestId, request }) => {
    if (requestId === seen.id) seen.request = request;
  });
  devtools.on("Network.webSocketHandshakeResponseReceived", ({ requestId, response }) => {
    if (requestId === seen.id) seen.response = response;
  });
  await enterAll([ann, bob, cleo], "lobby");

  await ann.tab("Opening handshake");
  const handshake = ann.page.locator("#handshake");
  await check("the panel shows an opening handshake", async () => (await handshake.locator("pre").count()) === 2);
  const [request, response] = await handshake.locator("pre").allTextContents();
  const [key, joined, sha1, accept] = await handshake.locator("code").allTextContents();
  const field = (head, name) => new RegExp(`^${name}: *(.*?)\\s*$`, "im").exec(head)?.[1];
  await now("it is that of this page's own connection, as the browser saw it", () => {
    const header = (headers, name) => Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1];
    equal(
      [request.split("\r\n")[0].split("\n")[0], response.split("\n")[0].trim()],
      ["GET /ws?wire HTTP/1.1", "HTTP/1.1 101 Switching Protocols"],
    );
    equal(
      [key, field(request, "Sec-WebSocket-Key"), field(response, "Sec-WebSocket-Accept")],
      [header(seen.request.headers, "sec-websocket-key"), key, header(seen.response.headers, "sec-websocket-accept")],
    );
    equal(
      [
        field(request, "Host"),
        field(request, "Origin"),
        field(request, "Upgrade"),
        field(request, "Sec-WebSocket-Version"),
      ],
      [new URL(address).host, address.slice(0, -1), "websocket", "13"],
    );
  });
  await now("the accept is computed from the shown key, step by step", () => {
    const hash = createHash("sha1")
      .update(key + GUID)
      .digest();
    equal([joined, sha1.replaceAll(" ", ""), accept], [key + GUID, hash.toString("hex"), hash.toString("base64")]);
  });
  await check("and once more in the page", async () =>
    (await handshake.textContent()).includes("Computed again in this page: the same."),
  );
  await now("cookies are not shown", async () => {
    equal([field(request, "Cookie"), /topsecret/.test(await ann.page.content())], ["(hidden)", false]);
    equal(/session=topsecret/.test(JSON.stringify(seen.request.headers)), true);
  });
  await ann.shot(topic, "wire-handshake-light");

  // Frames.
  await ann.tab("Frames");
  await ann.say("Do you see the mask?");
  await check("Ann's message is stored", () => ann.acks.size === 1);
  const [say] = ann.sent("say");
  const [said] = ann.got("said");
  const row = async (direction, start) =>
    (await rows(ann)).find(({ direction: way, words }) => way === direction && words.includes(start));
  await check("the frame that left: text, fin, masked with its key, its length and first bytes", async () => {
    const { opcode, words } = (await row("out", `{"type":"say","`)) ?? {};
    equal(opcode, 1);
    equal(
      [
        words.includes(`text${bytes(say)} bytes`),
        /\| fin, masked with (?:[0-9a-f]{2} ){3}[0-9a-f]{2} \|/.test(words),
        words.includes("7b 22 74 79 70 65 22 3a 22 73 61 79"),
      ],
      [true, true, true],
    );
  });
  await check("the frame that came: text, not masked, with its length", async () => {
    const { opcode, words } = (await row("in", `{"type":"said","`)) ?? {};
    equal([opcode, words?.includes(`text${bytes(said)} bytes`), words?.includes("fin, not masked")], [1, true, true]);
  });
  await check("every frame of the connection is there, from hello on, none twice", async () => {
    const all = (await rows(ann)).reverse();
    const out = all.filter(({ direction, opcode }) => direction === "out" && opcode === 1);
    const came = all.filter(({ direction, opcode }) => direction === "in" && opcode === 1);
    equal(
      [out.length, came.length],
      [
        ann.passed.filter(({ direction }) => direction === "out").length,
        ann.passed.filter(({ direction }) => direction === "in").length,
      ],
    );
    equal(
      [out[0].words.includes(`{"type":"hello"`), came[0].words.includes(`{"type":"welcome`.slice(0, 16))],
      [true, true],
    );
  });
  await now("frames of others are not shown, and neither is a secret", async () => {
    equal(await row("out", "Bob"), undefined);
    const secret = await ann.page.evaluate(() => JSON.parse(sessionStorage.getItem("wireroom.session")).secret);
    equal(await ann.wire.evaluate((panel, text) => panel.textContent.includes(text), secret), false);
  });
  await bob.say("I do.");
  await check("what others say comes in as it passes", async () =>
    (await rows(ann))[0].words.includes(`{"type":"said","`),
  );
  const button = (name) => ann.page.getByRole("button", { name, exact: true });
  await button("Pause").click();
  const before = (await rows(ann)).length;
  await bob.say("And now?");
  await check("Ann hears it while the list stands still", () => ann.sees("And now?"));
  await check("what passes meanwhile is counted", async () =>
    /^Paused, \d+ more row/.test(await ann.page.locator("#passed").textContent()),
  );
  await now("but not shown", async () => equal((await rows(ann)).length, before));
  await button("Go on").click();
  await check("and comes when it goes on", async () => (await rows(ann)).length > before);
  const writer = await Socket.enter(await blank(topic, browser, address), address, "Quill", "lobby");
  await writer.send(
    ...Array.from({ length: 250 }, (_, at) => ({ type: "say", id: newId(), room: "lobby", text: `frame ${at}` })),
  );
  await check("of 250 frames at once 200 rows stay, the latest first", async () => {
    const shown = await rows(ann);
    equal([shown.length <= 200 && shown.length > 190, ann.got("said").length], [true, 253]);
    const count = Number(
      /^([\d,]+) frames? passed/.exec(await ann.page.locator("#passed").textContent())[1].replace(",", ""),
    );
    equal(count >= 253, true);
  });
  await ann.shot(topic, "wire-frames-light");

  // A Close frame: somebody comes in with this page's name and secret.
  const { secret } = await cleo.page.evaluate(() => JSON.parse(sessionStorage.getItem("wireroom.session")));
  await cleo.tab("Frames");
  const twin = await Socket.open(await blank(topic, browser, address), address);
  await twin.answer({ type: "hello", name: "Cleo", secret }, "welcome");
  await check("a Close frame is shown with its code in words", async () => {
    const close = (await rows(cleo)).find(({ opcode, direction }) => opcode === 8 && direction === "in");
    equal(
      [close?.words.includes("4001, replaced: “replaced”"), close?.words.includes("fin, not masked")],
      [true, true],
    );
  });
  await check("and so is the page's own, with the same code", async () =>
    equal(
      (await rows(cleo)).some(
        ({ opcode, direction, words }) =>
          opcode === 8 && direction === "out" && words.includes("4001") && words.includes("masked with"),
      ),
      true,
    ),
  );
  await cleo.shot(topic, "wire-close-light");

  // Calls.
  await ann.tab("Calls");
  await ann.join("workshop");
  await check("behind joining", async () =>
    equal((await ann.call("Join #workshop")).match(/socket\.join\("workshop"\)/g).length, 2),
  );
  await check("behind talking to a room", async () =>
    /io\.to\("lobby"\)\s*\.emit\("said".*wireroom.*\.emit/s.test(await ann.call("Talk to #lobby")),
  );
  await ann.open("Everyone else");
  await ann.say("Lunch!");
  await check("behind talking to all others", async () =>
    /socket\.broadcast\s*\.emit.*socket\.broadcast\(\)\.emit/s.test(await ann.call("Talk to everyone else")),
  );
  await ann.open("Bob");
  await ann.say("Psst");
  await check("behind talking to one", async () =>
    /socket\.to\(socketId\)\s*\.emit\("whispered"/.test(await ann.call("Talk to Bob alone")),
  );
  await ann.open("#workshop");
  await ann.field.pressSequentially("typing");
  await check("behind writing", async () =>
    /socket\.broadcast\.to\("workshop"\)\s*\.emit\("typing"/.test(await ann.call("Write in #workshop")),
  );
  await now("with the bytes that left", async () => {
    const [shout] = ann.sent("shout");
    const length = (0x80 | bytes(shout)).toString(16);
    equal(
      (await ann.call("Talk to everyone else")).includes(`81 ${length} <4-byte masking key>\n${JSON.stringify(shout)}`),
      true,
    );
  });
  await ann.page.getByRole("button", { name: "Leave room" }).click();
  await check("and behind leaving", async () => /socket\.leave\("workshop"\)/.test(await ann.call("Leave #workshop")));
  await now("no call shows the secret", async () => equal(/"secret":"[^*]/.test(await ann.wire.textContent()), false));
  await ann.shot(topic, "wire-calls-light");
  await ann.page.getByRole("button", { name: "Wire", exact: true }).click();
  await check("the panel can be put away", async () => equal(await ann.wire.isVisible(), false));

  // /wire itself.
  const page = await blank(topic, browser, address);
  const rae = await Socket.open(page, address, "ws?wire");
  const { id } = await rae.answer(hello("Rae"), "welcome");
  const plain = await Socket.enter(page, address, "Sam");
  const [{ id: other }] = await plain.heard();
  await now("/wire shows nobody what is not theirs: Close 4004", async () => {
    for (const wrong of [
      { id: "1-2-3", secret: secretOf("Rae") },
      { id, secret: secretOf("Sam") },
      { id: other, secret: secretOf("Sam") },
    ]) {
      const watcher = await Socket.open(page, address, "wire");
      equal([wrong.id, (await watcher.answer({ type: "watch", ...wrong }, "handshake")).closed], [wrong.id, 4004]);
    }
  });
  const watcher = await Socket.open(page, address, "wire");
  const first = await watcher.answer({ type: "watch", id, secret: secretOf("Rae") });
  await now("the handshake comes first", () =>
    equal(
      [first.type, first.guid, first.accept],
      [
        "handshake",
        GUID,
        createHash("sha1")
          .update(first.key + GUID)
          .digest("base64"),
      ],
    ),
  );
  const second = await Socket.open(page, address, "wire");
  await second.answer({ type: "watch", id, secret: secretOf("Rae") }, "handshake");
  await now("a second viewer takes the place of the first: Close 4001", async () =>
    equal((await watcher.next("none")).closed, 4001),
  );
  await rae.close();
  await check("when the connection ends its Close is shown, and /wire is closed with 1000", async () => {
    equal((await second.next("none")).closed, 1000);
    const frames = (await second.heard()).flatMap((message) => message.frames ?? []);
    equal(
      frames.filter(({ opcode }) => opcode === 8).map(({ direction }) => direction),
      ["out", "in"],
    );
    equal(
      frames.map(({ n }) => n),
      frames.map((_, at) => frames[0].n + at),
    );
  });
  await eventually(async () => (await plain.heard()).some(({ type, name }) => type === "gone" && name === "Rae"));
}
