// A line chart of the last minute: one or two series over time, drawn as SVG. Who cannot see it has the table.

import { element } from "./dom.js";

const SPAN = 60_000; // milliseconds across
const BREAK = 1500; // without a value for so long, the line is interrupted
const [WIDTH, HEIGHT] = [600, 100];
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  /** The card, to be put on the page. */
  root;
  #lines = [];
  #values = [];
  #top;
  #shape;

  /** `names`: of one or two series; `shape`: a number in words. */
  constructor(title, names, shape) {
    this.#shape = shape;
    const legend = element("ul", "legend");
    const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) plot.append(svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
    names.forEach((name, at) => {
      const value = element("b", "", "–");
      const sample = svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      sample.append(svg("path", { class: `series series-${at}`, d: "M0 5H26" }));
      legend.append(element("li", "", sample, `${name} `, value));
      const line = svg("path", { class: `series series-${at}` });
      plot.append(line);
      this.#lines.push(line);
      this.#values.push(value);
    });
    this.#top = element("span", "top-value");
    this.#top.setAttribute("aria-hidden", "true");
    const axis = element("p", "axis", element("span", "", "1 minute ago"), element("span", "", "now"));
    axis.setAttribute("aria-hidden", "true");
    this.root = element("section", "card chart", element("h2", "", title), legend, element("div", "plot", plot, this.#top), axis);
  }

  /** `points`: [{time, values: [number | null ..]}], oldest first. */
  draw(points) {
    const now = points.at(-1)?.time ?? 0;
    const seen = points.filter(({ time }) => now - time <= SPAN);
    const ceiling = roundUp(Math.max(1, ...seen.flatMap(({ values }) => values.map((value) => value ?? 0))));
    this.#top.textContent = this.#shape(ceiling);
    this.#lines.forEach((line, at) => {
      let path = "";
      let before = null;
      for (const { time, values } of seen) {
        const value = values[at];
        if (value === null) {
          before = null;
          continue;
        }
        const x = WIDTH * (1 - (now - time) / SPAN);
        const y = HEIGHT * (1 - value / ceiling);
        path += `${before !== null && time - before < BREAK ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        before = time;
      }
      line.setAttribute("d", path);
      const latest = seen.at(-1)?.values[at] ?? null;
      this.#values[at].textContent = latest === null ? "–" : this.#shape(latest);
    });
  }
}

/** The next of 1, 2, 5, 10, 20, 50.. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => value <= step * power) * power;
}

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
