// Two people in the chat, each in a page of their own, through everything the chat can do.
import { mkdir } from "node:fs/promises";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { check, equal, startBrowser, startChat, startElsewhere, summary } from "./harness.mjs";

const [program, chromium] = process.argv.slice(2);
const screenshots = fileURLToPath(new URL("screenshots/", import.meta.url));
await mkdir(screenshots, { recursive: true });

const stops = [];
const complaints = []; // what any page of the chat wrote to its console as an error, or threw

/** A person: a browser context of their own with one page, and the words for what they do and see. */
async function person(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", (message) => {
    if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => { complaints.push("a dialog opened"); dialog.dismiss(); });
  const received = []; // every message the server sent to this page, shown or not
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => received.push(String(payload))));
  await page.goto(address);
  const log = page.getByRole("log");
  const people = page.getByRole("list", { name: "Here now" });
  const rooms = page.getByRole("list", { name: "Rooms", exact: true });
  return {
    page, context, log, people, rooms,
    got: (text) => received.some((payload) => payload.includes(text)),
    enter: async (name, room) => {
      await page.getByLabel("Your name").fill(name);
      await page.getByLabel("First room").fill(room);
      await page.getByRole("button", { name: "Enter" }).click();
    },
    join: async (room) => {
      await page.getByLabel("Room to join").fill(room);
      await page.getByRole("button", { name: "Join" }).click();
    },
    open: (name) => page.getByRole("navigation", { name: "Rooms and people" }).getByRole("button", { name }).first().click(),
    say: async (text) => {
      await page.getByLabel("Message", { exact: true }).fill(text);
      await page.getByLabel("Message", { exact: true }).press("Enter");
    },
    heading: () => page.locator("#title").textContent(),
    sees: async (text) => (await log.locator(".text").allTextContents()).includes(text),
    notes: async (text) => (await log.locator(".note").allTextContents()).includes(text),
    names: () => people.locator(".name").allTextContents(),
    call: (title) => page.getByRole("complementary").getByRole("listitem").filter({ hasText: title }).first().textContent(),
    shot: (name) => page.screenshot({ path: `${screenshots}${name}.png`, animations: "disabled" }),
  };
}

/** The status that a request with these headers gets for an upgrade at /ws. */
function upgradeStatus(address, headers) {
  return new Promise((resolve, reject) => {
    const asked = request(new URL("ws", address), {
      headers: {
        Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers,
      },
    });
    asked.on("response", (response) => { response.resume(); resolve(response.statusCode); });
    asked.on("upgrade", (response, socket) => { socket.destroy(); resolve(response.statusCode); });
    asked.on("error", reject);
    asked.end();
  });
}

/** What a page sees when it opens a WebSocket: "open", or the close code. */
const tryToOpen = (page, address) => page.evaluate((url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => { resolve("open"); socket.close(); };
  socket.onclose = ({ code }) => resolve(code);
}), address.replace("http:", "ws:") + "ws");

/** What the server says to each of these messages (the first thing it sends behind it), on one connection of its own. */
const answersTo = (page, address, messages) => page.evaluate(([url, asked]) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  const answers = [];
  const next = () => {
    if (answers.length === asked.length) {
      socket.onclose = null;
      socket.close();
      resolve(answers);
      return;
    }
    const message = asked[answers.length];
    socket.send(message === "<binary>" ? new Uint8Array(3) : typeof message === "string" ? message : JSON.stringify(message));
  };
  const heard = new Set(["welcome", "joined", "left", "said", "whispered", "error"]);
  socket.onopen = next;
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (!heard.has(type)) return;
    answers.push(type);
    next();
  };
  socket.onclose = ({ code }) => resolve([...answers, code]);
}), [address.replace("http:", "ws:") + "ws", messages]);

async function run() {
  const chat = await startChat(program);
  stops.push(chat.stop);
  const elsewhere = await startElsewhere();
  stops.push(elsewhere.stop);
  const { browser, stop } = await startBrowser(chromium);
  stops.push(stop);
  console.log(`Chromium ${browser.version()}`);

  // The files.
  for (const [path, type] of [["", "text/html"], ["style.css", "text/css"], ["chat.js", "text/javascript"]]) {
    await check(`GET /${path} is ${type}, with a Content-Security-Policy`, async () => {
      const answer = await fetch(chat.address + path);
      equal([answer.status, answer.headers.get("content-type").split(";")[0]], [200, type]);
      equal(/default-src 'self'/.test(answer.headers.get("content-security-policy")), true);
    });
  }
  await check("GET /healthz is 200", async () => equal((await fetch(`${chat.address}healthz`)).status, 200));
  await check("GET /ws without an upgrade is 426", async () => {
    const answer = await fetch(`${chat.address}ws`);
    equal([answer.status, answer.headers.get("upgrade")], [426, "websocket"]);
  });
  await check("GET of something else is 404", async () => equal((await fetch(`${chat.address}nothing`)).status, 404));

  // Coming in.
  const ann = await person(browser, chat.address);
  const bob = await person(browser, chat.address, { colorScheme: "dark" });
  await check("the door asks for a name and a room", async () => ann.page.getByLabel("Your name").isVisible());
  await ann.shot("door-light");
  await bob.shot("door-dark");
  // Ann comes in with the keyboard alone: the first field has the focus.
  await ann.page.keyboard.type("Ann");
  await ann.page.keyboard.press("Tab");
  await ann.page.keyboard.type("lobby");
  await ann.page.keyboard.press("Enter");
  await check("Ann is in #lobby", async () => (await ann.heading()) === "#lobby" && ann.notes("You came in."));
  await check("Ann's page says it is connected", async () => (await ann.page.getByRole("status").textContent()) === "Connected");
  await bob.enter("Ann", "lobby");
  await check("a name that is taken is refused, in words", async () =>
    (await bob.page.getByRole("alert").first().textContent()).length > 0 && bob.page.getByLabel("Your name").isVisible());
  await bob.enter("Bob", "lobby");
  await check("Bob comes in with another name, over the same connection", async () => (await bob.heading()) === "#lobby");
  await check("Ann sees Bob come in", () => ann.notes("Bob came in."));
  await check("who is here: Ann's page lists Bob", async () => (await ann.names()).join() === "Bob");
  await check("who is here: Bob's page lists Ann", async () => (await bob.names()).join() === "Ann");
  await check("who is in the room: both", async () => (await bob.page.locator("#about").textContent()) === "Ann, you");

  // A room.
  await ann.say("Hello Bob, how is the wire today?");
  await check("Ann's message reaches Bob", () => bob.sees("Hello Bob, how is the wire today?"));
  await check("and comes back to Ann once", async () =>
    (await ann.log.getByText("Hello Bob, how is the wire today?").count()) === 1);
  await bob.say("All frames, no fragments.\nTwo lines, ünïcödé and 🦀.");
  await check("Bob's answer reaches Ann, line break and all", () => ann.sees("All frames, no fragments.\nTwo lines, ünïcödé and 🦀."));
  await bob.say("x".repeat(2000));
  await check("2000 characters in one message arrive", () => ann.sees("x".repeat(2000)));
  const many = Array.from({ length: 30 }, (_, at) => `number ${at}`);
  for (const text of many) await ann.say(text);
  await check("30 messages arrive in order, none twice", async () =>
    (await bob.log.locator(".text").allTextContents()).filter((text) => text.startsWith("number ")).join() === many.join());

  // A second room, and who hears what.
  await bob.join("workshop");
  await check("Bob is in a second room", async () => (await bob.heading()) === "#workshop");
  await bob.say("Anybody in here?");
  await check("Bob hears himself in the second room", () => bob.sees("Anybody in here?"));
  await ann.say("Only for the lobby");
  await check("Bob's list counts what he has not read in #lobby", async () =>
    (await bob.rooms.getByRole("button", { name: "#lobby" }).locator(".unread").textContent()).startsWith("1"));
  await check("the lobby's message is not shown in #workshop", async () => equal(await bob.sees("Only for the lobby"), false));
  await check("#workshop's message never reached Ann, though a later one to #lobby did", async () => {
    if (!ann.got("Only for the lobby")) return false;
    equal([bob.got("Anybody in here?"), ann.got("Anybody in here?")], [true, false]);
  });
  await bob.open("#lobby");
  await check("Bob reads it in #lobby", () => bob.sees("Only for the lobby"));
  await check("and nothing is unread there", async () => (await bob.rooms.locator(".unread").count()) === 0);

  // One person, and all others, with a third who listens.
  const cleo = await person(browser, chat.address);
  await cleo.enter("Cleo", "attic");
  await check("Cleo, in another room, is listed for Ann", async () => (await ann.names()).includes("Cleo"));
  await ann.open("Bob");
  await ann.say("Just between us");
  await check("a private message is shown to the one who sent it", () => ann.sees("Just between us"));
  await bob.open("Ann");
  await check("and to the one it is for", () => bob.sees("Just between us"));
  await bob.say("Of course");
  await check("and answered", () => ann.sees("Of course"));
  await ann.open("Everyone else");
  await ann.say("Lunch!");
  await check("a message to all others is shown to the one who sent it, once", async () => (await ann.log.getByText("Lunch!").count()) === 1);
  await bob.open("Everyone else");
  await check("it reaches Bob", () => bob.sees("Lunch!"));
  await cleo.open("Everyone else");
  await check("it reaches Cleo, who shares no room with Ann", () => cleo.sees("Lunch!"));
  await check("what was private never reached Cleo, though a later shout did", async () => {
    if (!bob.got("Just between us") || !cleo.got("Lunch!")) return false;
    equal(cleo.got("Just between us"), false);
  });

  // Text is text.
  const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
  const mallory = await person(browser, chat.address);
  await mallory.enter("<b onclick=alert(3)>M", "lobby");
  await ann.open("#lobby");
  await check("a hostile name is shown as text", async () => (await ann.names()).includes("<b onclick=alert(3)>M"));
  await mallory.say(hostile);
  await check("a hostile message is shown as text", () => ann.sees(hostile));
  await check("and made no element", async () => equal(await ann.page.locator("img, .text *, .name *").count(), 0));
  await mallory.context.close();
  await check("a closed page is seen to have left the room", () => ann.notes("<b onclick=alert(3)>M went out."));
  await check("and is no longer here", async () => (await ann.names()).join() === "Bob,Cleo");

  // The rules, from a page that keeps none of them.
  const rule = (name, messages, wanted) => check(name, async () => equal(await answersTo(cleo.page, chat.address, messages), wanted));
  const hello = { type: "hello", name: "Rae" };
  await rule("before hello there is nothing but an error",
    [{ type: "join", room: "lobby" }, { type: "shout", text: "hey" }, { type: "whisper", to: "Ann", text: "hey" }, hello], ["error", "error", "error", "welcome"]);
  await rule("what is no message is an error, and the connection stays",
    ["{", "", "[]", "null", "7", "{}", { type: "dance" }, { type: "hello" }, { type: "hello", name: 7 }, hello],
    [...Array(9).fill("error"), "welcome"]);
  await rule("a name has 1 to 32 characters, none a control character, no space around",
    ["", " ", "x".repeat(33), "a\u0000b", "a\nb", " Rae", "Rae ", "🦀".repeat(32)].map((name) => ({ type: "hello", name })),
    [...Array(7).fill("error"), "welcome"]);
  await rule("hello is said once", [hello, hello, { type: "hello", name: "Mia" }], ["welcome", "error", "error"]);
  await rule("a room's name has the same bounds",
    [hello, ...["", "x".repeat(33), "a\u007fb", " cellar"].map((room) => ({ type: "join", room })), { type: "join", room: "🦀".repeat(32) }],
    ["welcome", ...Array(4).fill("error"), "joined"]);
  await rule("a room is joined once, left once, and talked to from the inside",
    [hello, ...["say", "leave", "join", "join", "say", "leave", "leave", "say"].map((type) => ({ type, room: "cellar", text: "hey" }))],
    ["welcome", "error", "error", "joined", "error", "said", "left", "error", "error"]);
  await rule("a text has 1 to 2000 characters",
    [hello, { type: "join", room: "cellar" }, ...["", "x".repeat(2001), "🦀".repeat(2000)].map((text) => ({ type: "say", room: "cellar", text }))],
    ["welcome", "joined", "error", "error", "said"]);
  await rule("a whisper needs somebody to hear it", [hello, { type: "whisper", to: "Nobody", text: "hey" }, { type: "whisper", to: "Ann" }], ["welcome", "error", "error"]);
  await rule("a field that nobody knows is ignored", [{ ...hello, mood: "fine" }], ["welcome"]);
  await rule("binary is answered with Close 1003", [hello, "<binary>"], ["welcome", 1003]);
  await rule("more than 16 KiB with Close 1009", [hello, "x".repeat(16 * 1024 + 1)], ["welcome", 1009]);

  // What Socket.IO hides.
  await check("the panel shows the call behind joining", async () => /socket\.join\("workshop"\)/.test(await bob.call("Join #workshop")));
  await check("behind talking to a room", async () => /io\.to\("lobby"\)\s*\.emit.*socket\.to\("lobby"\)\s*\.including_me\(\)\.emit/s.test(await ann.call("Talk to #lobby")));
  await check("behind talking to all others", async () =>
    /socket\.broadcast\s*\.emit.*socket\.broadcast\(\)\.emit/s.test(await ann.call("Talk to everyone else")));
  await check("and the frame that left the page", async () =>
    /81 a0 <4-byte masking key>\s*\{"type":"shout","text":"Lunch!"\}/.test(await ann.call("Talk to everyone else")));

  // Pictures to look at.
  await bob.open("#lobby");
  await bob.say("Right behind you.");
  await cleo.join("lobby");
  await check("Cleo is in #lobby", async () => (await cleo.heading()) === "#lobby");
  await cleo.say("Is there soup?");
  await ann.say("Soup, and bread from the workshop's oven. The socket is warm, the frames are small, and the room is full.");
  await check("all of it is on Bob's page", () => bob.sees("Is there soup?"));
  await ann.shot("talk-light");
  await bob.shot("talk-dark");
  await phone(browser, chat.address);

  // Leaving.
  await bob.open("#workshop");
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await check("Bob left #workshop, and it is off his list", async () =>
    (await bob.rooms.locator(".name").allTextContents()).join() === "#lobby" && (await bob.heading()) === "#lobby");
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await check("Ann sees Bob leave #lobby", () => ann.notes("Bob went out."));
  await check("Bob is still here for Ann", async () => (await ann.names()).includes("Bob"));
  await cleo.page.close();
  await check("Ann sees Cleo leave when her page is closed", () => ann.notes("Cleo went out."));
  await check("and Cleo is no longer here", async () => (await ann.names()).join() === "Bob");

  // Another origin.
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(elsewhere.address);
  await check("a page of another origin cannot open the WebSocket", async () => equal(await tryToOpen(stranger, chat.address), 1006));
  await check("on the wire that is 403", async () =>
    equal(await upgradeStatus(chat.address, { Origin: elsewhere.address.slice(0, -1) }), 403));
  await check("the origin null is refused too", async () => equal(await upgradeStatus(chat.address, { Origin: "null" }), 403));
  // A name that its owner points at this address makes a page there look like one of ours, were the Host believed.
  await check("a Host of that page's own choosing does not help it", async () => {
    const { port } = new URL(chat.address);
    equal(await upgradeStatus(chat.address, { Origin: `http://evil.example:${port}`, Host: `evil.example:${port}` }), 403);
  });
  await check("localhost is the chat's own origin too", async () => {
    const host = `localhost:${new URL(chat.address).port}`;
    equal(await upgradeStatus(chat.address, { Origin: `http://${host}`, Host: host }), 101);
  });
  await check("the chat's own origin gets 101", async () =>
    equal(await upgradeStatus(chat.address, { Origin: chat.address.slice(0, -1) }), 101));
  await check("a page of the chat's own origin can open it", async () => equal(await tryToOpen(ann.page, chat.address), "open"));

  // The end.
  await check("no page complained: no error in a console, no dialog", async () => equal(complaints, []));
  await check("the server is still running", async () => equal(chat.running(), true));
  await chat.stop();
  await check("when the server stops, the page says so", async () => ann.page.getByRole("button", { name: "Connect again" }).isVisible());
  await ann.shot("closed-light");
  const again = await startChat(program, new URL(chat.address).host);
  stops.push(again.stop);
  await ann.page.getByRole("button", { name: "Connect again" }).click();
  await check("when it is there again, one click brings Ann back to her room", async () =>
    (await ann.page.getByRole("status").textContent()) === "Connected" && (await ann.rooms.locator(".name").allTextContents()).join() === "#lobby");
  await ann.open("#lobby");
  await ann.say("Back again.");
  await check("and she can talk", () => ann.sees("Back again."));
}

/** The same chat at the width of a phone, by touch. */
async function phone(browser, address) {
  for (const colorScheme of ["light", "dark"]) {
    const dora = await person(browser, address, { colorScheme, viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
    await dora.enter(`Dora ${colorScheme}`, "lobby");
    await check(`phone, ${colorScheme}: Dora is in #lobby`, async () => (await dora.heading()) === "#lobby");
    await dora.say("From the train.");
    await check(`phone, ${colorScheme}: she can talk`, () => dora.sees("From the train."));
    await check(`phone, ${colorScheme}: nothing is wider than the screen`, async () =>
      equal(await dora.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth, visualViewport.width]), [390, 390, 390]));
    await dora.shot(`phone-${colorScheme}-talk`);
    await dora.page.getByRole("button", { name: /^Rooms and people/ }).tap();
    await dora.shot(`phone-${colorScheme}-places`);
    await dora.page.getByRole("button", { name: "Calls" }).tap();
    await dora.shot(`phone-${colorScheme}-calls`);
    await dora.page.getByRole("button", { name: /^Rooms and people/ }).tap();
    await dora.open("Bob");
    await check(`phone, ${colorScheme}: a tap on a person opens the talk with them`, async () => (await dora.heading()) === "Bob");
    await dora.context.close();
  }
}

try {
  await run();
} catch (error) {
  await check("the test ran to its end", () => { throw error; });
} finally {
  for (const stop of stops.reverse()) await stop();
}
process.exitCode = summary();
