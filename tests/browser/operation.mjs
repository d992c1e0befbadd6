// The program as its operator sees it: what it says when it cannot start, and how it goes down.
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Chat, equal, folderFor, runChat } from "./harness.mjs";
import { Socket, ask, blank, historyOf, newId } from "./raw.mjs";

/** Overwrites four bytes of the header of a SQLite database, and gives what was there: https://sqlite.org/fileformat2.html, 1.3. */
async function patch(database, offset, value) {
  const file = await open(database, "r+");
  const bytes = Buffer.alloc(4);
  await file.read(bytes, 0, 4, offset);
  const before = bytes.readUInt32BE();
  bytes.writeUInt32BE(value);
  await file.write(bytes, 0, 4, offset);
  await file.close();
  return before;
}
const USER_VERSION = 60;
const APPLICATION_ID = 68;

export async function operation(topic, { browser, program }) {
  const { check, now } = topic;
  const folder = await folderFor("operation");
  const free = ["--listen", "127.0.0.1:0"];
  const database = ["--database", join(folder, "chat.db")];

  /** It ends with 1, and says why in one sentence. */
  const refuses = (name, options, words) =>
    now(name, async () => {
      const { code, stdout, stderr } = await runChat(program, ...options);
      equal([code, stdout, stderr.trim().split("\n").length], [1, "", 1]);
      if (!words.test(stderr)) throw new Error(`it says only: ${stderr}`);
    });
  const chat = await Chat.start(topic, program);
  await refuses(
    "a port that is taken",
    ["--listen", `127.0.0.1:${chat.port}`, ...database],
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${chat.port}.*in use`),
  );
  await refuses(
    "a database in a folder that is not there",
    [...free, "--database", join(folder, "none", "chat.db")],
    /none\/chat\.db/,
  );
  await refuses("a folder in place of a database", [...free, "--database", folder], /wireroom-operation/);
  await writeFile(join(folder, "letter.txt"), "Dear database, ".repeat(400));
  await refuses("a file that is no database", [...free, "--database", join(folder, "letter.txt")], /letter\.txt.*not/);
  await now("and leaves that file as it was", async () => {
    const file = await open(join(folder, "letter.txt"));
    equal((await file.readFile("utf8")) === "Dear database, ".repeat(400), true);
    await file.close();
  });

  // How it goes down.
  const page = await blank(topic, browser, chat.address);
  const socket = await Socket.enter(page, chat.address, "Opal", "den");
  const kept = await socket.answer({ type: "say", id: newId(), room: "den", text: "kept" }, "ack");
  await now("SIGINT: what was sent is stored, pages get 1001, and it ends with 0", async () => {
    await socket.send({ type: "say", id: newId(), room: "den", text: "just before" });
    await socket.next("ack");
    chat.signal("SIGINT");
    const end = await socket.next("none");
    equal([end.closed, end.reason, await chat.ended], [1001, "shutting down", 0]);
  });
  const stopped = chat.database;
  const version = await patch(stopped, USER_VERSION, 99);
  await refuses("a database of a newer version", [...free, "--database", stopped], /newer/);
  await patch(stopped, USER_VERSION, version);
  const application = await patch(stopped, APPLICATION_ID, 0x12345678);
  await refuses("another program's database", [...free, "--database", stopped], /not.*chat/i);
  await patch(stopped, APPLICATION_ID, application);
  await chat.start("--drain", "30");
  await now("its own database is taken again, with what it holds", async () =>
    equal(
      (await historyOf(page, chat.address, "den")).map(({ seq, text }) => [seq === kept.seq, text]),
      [
        [true, "kept"],
        [false, "just before"],
      ],
    ),
  );

  const other = await Socket.enter(page, chat.address, "Opal", "den");
  chat.signal("SIGTERM");
  await check("while it drains, /healthz is 503 and says so, by GET and HEAD", async () => {
    const [got, head] = [await ask(chat.address, "/healthz"), await ask(chat.address, "/healthz", { method: "HEAD" })];
    equal([got.status, got.body.toString().trim(), head.status, head.body.length], [503, "draining", 503, 0]);
  });
  await now("an upgrade is 503, and says when to come back", async () => {
    const { status, headers } = await ask(chat.address, "ws", {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        Origin: chat.address.slice(0, -1),
      },
    });
    equal([status, /^[1-9]\d*$/.test(headers["retry-after"])], [503, true]);
  });
  await now("the files are served", async () => equal((await ask(chat.address, "/")).status, 200));
  await now("who is connected can still talk, and it is stored", async () =>
    equal(
      (await other.answer({ type: "say", id: newId(), room: "den", text: "last orders" }, "ack", "error")).type,
      "ack",
    ),
  );
  await now("a second signal ends it at once, with 130", async () => {
    chat.signal("SIGTERM");
    equal(await chat.ended, 130);
  });
  await chat.start();
  await now("and nothing acknowledged is lost by that", async () =>
    equal(
      (await historyOf(page, chat.address, "den")).map(({ text }) => text),
      ["kept", "just before", "last orders"],
    ),
  );
  await now("its log has no panic, and names the database", () =>
    equal([/panick/.test(chat.log), chat.log.includes(chat.database)], [false, true]),
  );
  await now("--log off says nothing", async () => {
    await chat.kill();
    chat.log = "";
    await chat.start("--log", "off");
    chat.signal("SIGTERM");
    equal([await chat.ended, chat.log], [0, ""]);
  });
  await now("--keep keeps the newest", async () => {
    await chat.start("--keep", "10", "--rate", "0");
    const writer = await Socket.enter(page, chat.address, "Opal", "den");
    for (let number = 0; number < 30; number += 1)
      await writer.answer({ type: "say", id: newId(), room: "den", text: `number ${number}` }, "ack");
    const texts = (await historyOf(page, chat.address, "den")).map(({ text }) => text);
    equal([texts.at(-1), texts.length >= 10 && texts.length < 33, texts.includes("kept")], ["number 29", true, false]);
  });
  await now("--help says what there is, and ends with 0", async () => {
    const { code, stdout } = await runChat(program, "--help");
    equal(
      [
        code,
        ["listen", "database", "allow-origin", "log", "rate", "keep", "max-connections", "drain"].filter(
          (option) => !stdout.includes(`--${option}`),
        ),
      ],
      [0, []],
    );
  });
  await now("an option that is none is refused in words", async () => {
    const { code, stderr } = await runChat(program, "--port", "80");
    equal([code, /--port/.test(stderr)], [1, true]);
  });
}
