// The chat without its page: single HTTP requests, and WebSockets that send whatever a test likes, out of a browser.
import { request } from "node:http";

/** The answer to one request, with its body. The path is sent as it is, no redirect is followed, no connection kept. */
export function ask(address, path, { method = "GET", headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address);
    const asked = request({
      hostname,
      port,
      path: path.startsWith("/") ? path : `/${path}`,
      method,
      headers,
      agent: false,
    });
    asked.on("response", (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      );
      response.on("error", reject);
    });
    asked.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** The answer to a request for an upgrade at `path`; the `Origin` is the chat's own unless another is given. */
export const upgrade = (address, path, headers = {}) =>
  ask(address, path, {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      Origin: address.slice(0, -1),
      ...headers,
    },
  });

let made = 0;
/** An id as clients make them. */
export const newId = () => `test-${process.pid}-${(made += 1).toString().padStart(6, "0")}`;
export const secretOf = (name) => `secret-of-${name}`.replace(/[^A-Za-z0-9_-]/g, "-").padEnd(16, "-");

/** A page without a script, of the chat's origin, for sockets of our own. */
export async function blank(topic, browser, address) {
  const context = await browser.newContext();
  topic.later(() => context.close());
  const page = await context.newPage();
  await page.goto(`${address}healthz`);
  return page;
}

/** A WebSocket in `page`. `heard` is every message so far; after the end, `closed` is its code. */
export class Socket {
  #handle;

  static async open(page, address, path = "ws") {
    const socket = new Socket();
    socket.#handle = await page.evaluateHandle(
      (url) =>
        new Promise((resolve) => {
          const opened = {
            socket: new WebSocket(url),
            heard: [],
            taken: 0,
            code: null,
            reason: null,
            lasted: null,
            changed: () => {},
          };
          let since = 0;
          opened.socket.onopen = () => {
            since = performance.now();
            resolve(opened);
          };
          opened.socket.onmessage = ({ data }) => {
            opened.heard.push(JSON.parse(data));
            opened.changed();
          };
          opened.socket.onclose = ({ code, reason }) => {
            Object.assign(opened, { code, reason, lasted: performance.now() - since });
            resolve(opened);
            opened.changed();
          };
        }),
      address.replace("http:", "ws:") + path,
    );
    return socket;
  }

  /** One who has said hello, and is in these rooms. */
  static async enter(page, address, name, ...rooms) {
    const socket = await Socket.open(page, address);
    await socket.send({ type: "hello", name, secret: secretOf(name) });
    await socket.next("welcome");
    for (const room of rooms) {
      await socket.send({ type: "join", room });
      await socket.next("history");
    }
    return socket;
  }

  /** Sends a message; a string as it is, a number as so many bytes of binary. */
  send(...messages) {
    return this.#handle.evaluate(({ socket }, all) => {
      for (const message of all) {
        if (typeof message === "number") socket.send(new Uint8Array(message));
        else socket.send(typeof message === "string" ? message : JSON.stringify(message));
      }
    }, messages);
  }

  /** The next message of one of these types (any type when none is named), or the close code as `{closed, reason}` with the milliseconds it `lasted`. */
  next(...types) {
    return this.#handle.evaluate(
      (opened, wanted) =>
        new Promise((resolve, reject) => {
          const done = (found) => {
            opened.changed = () => {};
            resolve(found);
          };
          const look = () => {
            while (opened.taken < opened.heard.length) {
              const message = opened.heard[opened.taken++];
              if (wanted.length === 0 || wanted.includes(message.type)) return done(message);
            }
            if (opened.code !== null) done({ closed: opened.code, reason: opened.reason, lasted: opened.lasted });
          };
          opened.changed = look;
          setTimeout(
            () => reject(new Error(`no ${wanted} came; of late ${JSON.stringify(opened.heard.slice(-3))}`)),
            15_000,
          );
          look();
        }),
      types,
    );
  }

  /** Sends, and gives the next message of these types. */
  async answer(message, ...types) {
    await this.send(message);
    return this.next(...types);
  }

  heard() {
    return this.#handle.evaluate(({ heard }) => heard);
  }

  close() {
    return this.#handle.evaluate(({ socket }) => socket.close());
  }
}

/** The last messages of a room, at least so many if there are; all of them unless a number is given. */
export async function historyOf(page, address, room, count = Infinity) {
  const socket = await Socket.enter(page, address, `reader ${newId()}`.slice(0, 32));
  await socket.send({ type: "join", room });
  const all = [];
  for (;;) {
    const { type, messages, more, retry, message } = await socket.next("history", "error");
    if (type === "history") all.unshift(...messages);
    else if (retry === undefined) throw new Error(`no history: ${message}`);
    else await page.waitForTimeout(retry);
    if (type === "history" && (!more || all.length >= count)) break;
    await socket.send({ type: "history", room, before: all[0]?.seq });
  }
  await socket.close();
  return all;
}
