// Runs the topics: `main.mjs PROGRAM CHROMIUM [TOPIC..]`. Those that mostly wait run beside the others.
import { mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Topic, equal, startBrowser, summary } from "./harness.mjs";
import { drain } from "./drain.mjs";
import { history } from "./history.mjs";
import { hostile, limits } from "./limits.mjs";
import { live } from "./live.mjs";
import { keyboard, looks } from "./looks.mjs";
import { operation } from "./operation.mjs";
import { panel } from "./panel.mjs";
import { port } from "./port.mjs";
import { presence } from "./presence.mjs";
import { cut, restarts, sleeping, stalled } from "./reconnect.mjs";
import { returns } from "./returns.mjs";
import { rules } from "./rules.mjs";
import { talk } from "./talk.mjs";

// The first three mostly wait, each in a lane of its own; the rest goes to whichever lane is free.
const WAITING = [cut, stalled, sleeping];
const rest = [
  restarts,
  returns,
  rules,
  looks,
  port,
  operation,
  talk,
  history,
  limits,
  hostile,
  panel,
  drain,
  presence,
  live,
  keyboard,
];

const [program, chromium, ...named] = process.argv.slice(2);
const screenshots = fileURLToPath(new URL("screenshots/", import.meta.url));
// What is in there is of this run.
if (!named.length) await rm(screenshots, { recursive: true, force: true });
await mkdir(screenshots, { recursive: true });
const began = performance.now();
const { browser, stop } = await startBrowser(chromium);
console.log(`Chromium ${browser.version()}`);

async function run(about) {
  const topic = new Topic(about.name, screenshots);
  const since = performance.now();
  try {
    await about(topic, { browser, program, chromium });
    await topic.now("no page complained: no error in a console, no dialog, nothing against the policy", () =>
      equal(topic.complaints, []),
    );
  } catch (error) {
    await topic.now("ran to its end", () => {
      throw error;
    });
  }
  if (topic.failed) await topic.picture();
  await topic.end();
  console.log(`--    ${about.name}: ${((performance.now() - since) / 1000).toFixed(1)} s`);
}

try {
  const wanted = (about) => !named.length || named.includes(about.name);
  const queue = rest.filter(wanted);
  const work = async () => {
    while (queue.length) await run(queue.shift());
  };
  await Promise.all([...WAITING.filter(wanted).map(run), work(), work()]);
} finally {
  await stop();
}
process.exitCode = summary((performance.now() - began) / 1000);
