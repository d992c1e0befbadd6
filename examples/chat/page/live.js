// The dashboard: the server pushes its counters every 250 ms over /live/ws, without a request. They are totals; rates are
// made here, from what a second has added.

import { Chart } from "./chart.js";
import { $, closeWords, element, say } from "./dom.js";
import { Link } from "./link.js";

const KEPT = 61_000; // milliseconds of points
const RATE_OVER = 1000; // a rate is what was added in this time
const TABLE_EVERY = 2000; // who listens to the page is not to be talked over
const PATIENCE = 5000; // counters come four times a second

const number = (value) => Math.round(value).toLocaleString();
const rate = (value) => (value < 10 && !Number.isInteger(value) ? value.toFixed(1) : number(value));
const perSecond = (value) => `${rate(value)}/s`;
const ms = (us) => (us < 1000 ? `${number(us)} µs` : `${(us / 1000).toFixed(1)} ms`);

function bytes(value) {
  const power = value < 1000 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
  const scaled = value / 1000 ** power;
  return `${power && scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)} ${["B", "kB", "MB", "GB"][power]}`;
}

function duration(value) {
  const seconds = Math.floor(value / 1000);
  const parts = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = seconds;
  return parts.slice(first, first + 2).map(([size, unit]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return `${count} ${unit}`;
  }).join(" ");
}

// --- What is shown: a tile, a chart or a row for each -------------------------------------------------------------

const TILES = [
  ["Connections", (now) => number(now.connections)],
  ["People", (now) => number(now.people)],
  ["Rooms", (now) => number(now.rooms)],
  ["Messages a second", (_, rates) => (rates ? rate(rates.messages_in + rates.messages_out) : "–")],
  ["Waiting to be sent", (now) => bytes(now.queued)],
  ["Running for", (now) => duration(now.uptime)],
];

const CHARTS = [
  ["Messages a second", ["in", "out"], perSecond, (_, rates) => [rates.messages_in, rates.messages_out], true],
  ["Bytes a second", ["in", "out"], (value) => `${bytes(value)}/s`, (_, rates) => [rates.bytes_in, rates.bytes_out], true],
  ["Connections and people", ["connections", "people"], number, (now) => [now.connections, now.people]],
  ["Bytes that wait to be sent", ["all connections"], bytes, (now) => [now.queued]],
  ["Messages committed a second", ["committed", "waiting"], rate, (now, rates) => [rates.stored, now.waiting], true],
  ["The last group commit", ["time"], ms, (now) => [now.commit_us]],
];

const ROWS = [
  ["Connections", (now) => number(now.connections)],
  ["People", (now) => number(now.people)],
  ["Rooms", (now) => number(now.rooms)],
  ["Messages in", (_, rates) => perSecond(rates.messages_in), (now) => number(now.messages_in)],
  ["Messages out", (_, rates) => perSecond(rates.messages_out), (now) => number(now.messages_out)],
  ["Bytes in", (_, rates) => `${bytes(rates.bytes_in)}/s`, (now) => bytes(now.bytes_in)],
  ["Bytes out", (_, rates) => `${bytes(rates.bytes_out)}/s`, (now) => bytes(now.bytes_out)],
  ["Waiting to be sent", (now) => bytes(now.queued)],
  ["Messages committed", (_, rates) => perSecond(rates.stored), (now) => number(now.stored)],
  ["Waiting for a commit", (now) => number(now.waiting)],
  ["Last group commit", (now) => `${ms(now.commit_us)} for ${number(now.group)}`],
  ["Turns of the loop", (_, rates) => perSecond(rates.turns), (now) => number(now.turns)],
];

const RATED = ["messages_in", "messages_out", "bytes_in", "bytes_out", "stored", "turns"];

const tiles = TILES.map(([label, words]) => {
  const value = element("span", "value", "–");
  $("tiles").append(element("li", "", value, element("span", "label", label)));
  return { value, words };
});

const charts = CHARTS.map(([title, names, shape, values, rated]) => {
  const chart = new Chart(title, names, shape);
  $("charts").append(chart.root);
  return { chart, values, names, rated };
});

const rows = ROWS.map(([label, now, total]) => {
  const head = element("th", "", label);
  head.scope = "row";
  const cells = [element("td", "", "–"), element("td", "", "")];
  $("numbers").append(element("tr", "", head, ...cells));
  return { cells, words: [now, total] };
});

// --- The counters -------------------------------------------------------------------------------------------------

let samples = []; // counters, oldest first
let points = []; // {now, rates}, rates null while there is nothing to compare with
let tabled = 0;
let drawn = 0;

function counters(now) {
  const last = samples.at(-1);
  if (last && (now.uptime < last.uptime || now.time < last.time)) samples = []; // another server: totals begin anew
  if (last && now.time < last.time) points = [];
  samples.push(now);
  while (samples.length > 2 && now.time - samples[1].time >= RATE_OVER) samples.shift();
  const [first] = samples;
  const seconds = (now.time - first.time) / 1000;
  const rates = seconds < 0.2 ? null : Object.fromEntries(RATED.map((name) => [name, Math.max(0, now[name] - first[name]) / seconds]));
  points.push({ now, rates });
  while (now.time - points[0].now.time > KEPT) points.shift();
  draw();
}

function draw() {
  if (document.hidden || !points.length) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 0;
  if (Date.now() - drawn < still) return;
  drawn = Date.now();
  const { now, rates } = points.at(-1);
  for (const { value, words } of tiles) value.textContent = words(now, rates);
  for (const { chart, values, names, rated } of charts) {
    chart.draw(points.map((point) => ({
      time: point.now.time,
      values: rated && !point.rates ? names.map(() => null) : values(point.now, point.rates),
    })));
  }
  if (!rates || drawn - tabled < TABLE_EVERY) return;
  tabled = drawn;
  for (const { cells, words } of rows) {
    words.forEach((word, at) => { if (word) say(cells[at], word(now, rates)); });
  }
}

// --- The connection -----------------------------------------------------------------------------------------------

const link = new Link("/live/ws", {
  opened: () => link.ready(),
  received(message) {
    if (message.type === "counters") counters(message);
  },
  closed: () => "again",
  changed: light,
  owed: () => true,
}, PATIENCE);

function light() {
  $("light").dataset.state = link.state;
  $("light").title = link.why && link.state !== "open" ? `The connection ended: ${closeWords(link.why.code, link.why.reason)}` : "";
  say($("state"), {
    open: "Connected",
    connecting: link.why ? "Reconnecting" : "Connecting",
    waiting: navigator.onLine ? "Reconnecting" : "Offline",
    closed: "Not connected",
  }[link.state]);
  countdown();
}

function countdown() {
  const left = Math.ceil((link.until - Date.now()) / 1000);
  say($("countdown"), link.state === "waiting" && left > 1 ? ` in ${left} s` : "");
}

setInterval(countdown, 250);
document.addEventListener("visibilitychange", draw);
link.start();
