// What the browser tests stand on: a server to start, a browser, named checks that wait, and cleaning up.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const LIMIT = 10_000; // milliseconds that anything a person waits for may take

let passed = 0;
let failed = 0;

/** One named check: it fails when `proof` throws, or says false for as long as a person would wait. */
export async function check(name, proof) {
  try {
    const deadline = Date.now() + LIMIT;
    for (;;) {
      const said = await proof();
      if (said !== false) break;
      if (Date.now() > deadline) throw new Error(`not so within ${LIMIT / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split("\n").slice(0, 6).join("\n      ")}`);
  }
}

export function equal(seen, wanted) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`saw ${a}, wanted ${b}`);
}

/** Starts the chat, and gives the address it prints. */
export async function startChat(program, listen = "127.0.0.1:0") {
  const child = spawn(program, ["--listen", listen], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const line = new Promise((resolve, reject) => {
    child.once("error", reject);
    createInterface({ input: child.stdout }).on("line", (text) => {
      const found = /^listening on (http:\/\/127\.0\.0\.1:\d+\/)$/.exec(text);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`the chat ended at once, with ${code}`)));
    setTimeout(() => reject(new Error("the chat did not say where it listens")), LIMIT).unref();
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 3000);
    await ended;
    clearTimeout(late);
  };
  try {
    return { address: await line, running: () => child.exitCode === null && child.signalCode === null, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A server of another origin, with an empty page. */
export async function startElsewhere() {
  const server = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>elsewhere</title>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

export async function startBrowser(executablePath) {
  const profile = await mkdtemp(join(tmpdir(), "wireroom-browser-"));
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    env: { ...process.env, HOME: profile },
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
  return { browser, stop: async () => { await browser.close(); await rm(profile, { recursive: true, force: true }); } };
}

/** The last line, and the exit status. */
export function summary() {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
