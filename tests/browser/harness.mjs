// What the browser tests stand on: checks that wait, the chat as a process that can be killed and stopped, a browser,
// and cleaning up.
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Milliseconds that anything a person waits for may take. */
export const LIMIT = 15_000;

/** Every chat speaks https and wss, with a certificate of its own. */
const TLS = Boolean(process.env.WIREROOM_CHAT_TLS);

const counts = { passed: 0, failed: 0 };

/** What was seen is not what was wanted: so far. */
export class Mismatch extends Error {}

/** Throws unless both are the same, as JSON. */
export function equal(seen, wanted) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (a !== b) throw new Mismatch(`saw ${a}, wanted ${b}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `proof` neither says false nor throws a mismatch; else throws the last one. */
export async function eventually(proof, limit = LIMIT) {
  const deadline = Date.now() + limit;
  for (;;) {
    let mismatch = null;
    try {
      if ((await proof()) !== false) return;
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      mismatch = error;
    }
    if (Date.now() > deadline) throw mismatch ?? new Error(`not so within ${limit / 1000} s`);
    await sleep(25);
  }
}

/** The checks of one topic, and what it has to put away. */
export class Topic {
  failed = 0;
  people = []; // persons, for what they complain of and for pictures of them
  #stops = [];

  constructor(name, screenshots) {
    this.name = name;
    this.screenshots = screenshots;
  }

  get complaints() {
    return this.people.flatMap(({ name, complaints }) => complaints.map((words) => `${name}: ${words}`));
  }

  /** Every page of the topic as it is now, to see what went wrong. */
  async picture() {
    for (const { page, name } of this.people) {
      // A page that has gone, or is stopped, has no picture.
      await page
        .screenshot({ path: `${this.screenshots}failed-${this.name}-${name.replace(/\W/g, "")}.png`, timeout: 3000 })
        .catch(() => {});
    }
  }

  /** One named check: it passes when `proof` does within the time a person would wait. */
  check = async (name, proof, limit = LIMIT) => {
    try {
      await eventually(proof, limit);
      counts.passed += 1;
      console.log(`ok    ${this.name}: ${name}`);
    } catch (error) {
      counts.failed += 1;
      this.failed += 1;
      const words = String(error.message ?? error)
        .split("\n")
        .slice(0, 6)
        .map((line) => line.slice(0, 600));
      console.log(`FAIL  ${this.name}: ${name}\n      ${words.join("\n      ")}`);
    }
  };

  /** As `check`, for what has to be so at once and can only become worse. */
  now = (name, proof) => this.check(name, proof, 0);

  later(stop) {
    this.#stops.push(stop);
  }

  /** Puts everything away, the last first. */
  async end() {
    for (const stop of this.#stops.reverse()) await stop();
  }
}

/** The last line, and the exit status. */
export function summary(seconds) {
  console.log(`${counts.passed} checks passed, ${counts.failed} failed, in ${seconds.toFixed(0)} s`);
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}

const children = new Set();
const folders = new Set();
// Whatever way this process ends, no server stays behind, and no database.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** One chat: a port and a database, and a process that comes and goes. */
export class Chat {
  #program;
  #folder;
  #child = null;
  #ended = null;
  #listen = "127.0.0.1:0";
  address = null;
  /** What it wrote to its standard error. */
  log = "";

  constructor(program) {
    this.#program = program;
  }

  /** A server with a database of its own, put away at the end of the topic. */
  static async start(topic, program, ...options) {
    const chat = new Chat(program);
    topic.later(() => chat.#remove());
    await chat.start(...options);
    return chat;
  }

  /** Starts it: a second time with the same database and on the same port. */
  async start(...options) {
    this.#folder ??= await folderFor("chat");
    if (TLS) options = ["--tls", ...options];
    const child = spawn(this.#program, ["--listen", this.#listen, "--database", this.database, ...options], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    this.#child = child;
    child.stderr.on("data", (bytes) => {
      this.log += bytes;
    });
    this.#ended = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        children.delete(child);
        resolve(code ?? signal);
      }),
    );
    this.address = await new Promise((resolve, reject) => {
      child.once("error", reject);
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^listening on (https?:\/\/127\.0\.0\.1:\d+\/)$/.exec(line);
        if (found) resolve(found[1]);
      });
      this.#ended.then((code) => reject(new Error(`the chat ended at once, with ${code}: ${this.log}`)));
      setTimeout(() => reject(new Error("the chat did not say where it listens")), LIMIT).unref();
    });
    this.#listen = new URL(this.address).host;
  }

  get database() {
    return join(this.#folder, "chat.db");
  }

  get port() {
    return Number(new URL(this.address).port);
  }

  get running() {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  /** Its exit status, or the signal it ended by. */
  get ended() {
    return this.#ended;
  }

  /** kill -9: it can do nothing about it. */
  async kill() {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async #remove() {
    if (this.#child) await this.kill();
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Runs the chat to its end, for what it says when it cannot start. */
export function runChat(program, ...options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    const late = setTimeout(() => child.kill("SIGKILL"), LIMIT);
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"])
      child[stream].on("data", (bytes) => {
        said[stream] += bytes;
      });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(late);
      children.delete(child);
      resolve({ code: code ?? signal, ...said });
    });
  });
}

/** A server of another origin, with an empty page. */
export async function startElsewhere(topic) {
  const server = createServer((_, response) =>
    response.setHeader("Content-Type", "text/html").end("<!doctype html><title>elsewhere</title>"),
  );
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  topic.later(
    () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  );
  return `http://127.0.0.1:${server.address().port}/`;
}

/** A folder that is gone when the tests are. */
export async function folderFor(what) {
  const folder = await mkdtemp(join(tmpdir(), `wireroom-${what}-`));
  folders.add(folder);
  return folder;
}

export async function startBrowser(executablePath) {
  const profile = await folderFor("browser");
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    env: { ...process.env, HOME: profile },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(TLS ? ["--ignore-certificate-errors"] : []),
    ],
  });
  return {
    browser,
    stop: async () => {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
