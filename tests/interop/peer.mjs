// Node's ws as a peer, driven by lines of JSON on standard input; ends with it. peers.py has the other end.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import WebSocket, { WebSocketServer } from "ws";

const links = [];
const servers = [];
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const base64 = (data) => Buffer.from(data).toString("base64");

/** Takes up an open WebSocket: tells what happens on it from now on. */
function take(socket, headers) {
  const link = links.push(socket) - 1;
  socket.on("message", (data, binary) => tell({ link, event: "message", data: base64(data), binary }));
  socket.on("pong", (data) => tell({ link, event: "pong", data: base64(data) }));
  socket.on("close", (code, reason) => tell({ link, event: "close", code, reason: reason.toString() }));
  socket.on("error", () => {});
  return { link, opened: { subprotocol: socket.protocol, extensions: socket.extensions, headers } };
}

const operations = {
  version: (_, answer) => answer({ version: createRequire(import.meta.url)("ws/package.json").version }),

  open({ url, subprotocols, origin }, answer) {
    const socket = new WebSocket(url, subprotocols, origin ? { origin } : {});
    const failed = (error) => answer({ error: error.message });
    socket.once("error", failed);
    socket.once("unexpected-response", (request, response) => {
      answer({ error: response.statusMessage, status: response.statusCode });
      request.destroy();
    });
    // Taken up at once, so that a message behind the response's head is not missed.
    socket.once("upgrade", () => {
      socket.once("open", () => {
        socket.off("error", failed);
        answer(take(socket, {}));
      });
    });
  },

  async serve({ subprotocol, refuse }, answer) {
    const listener = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      handleProtocols: (offered) => (subprotocol && offered.has(subprotocol) ? subprotocol : false),
      verifyClient: (_, done) => (refuse ? done(false, refuse, "Not here.") : done(true)),
    });
    const server = servers.push(listener) - 1;
    listener.on("connection", (socket, request) => tell({ event: "accepted", server, ...take(socket, request.headers) }));
    listener.once("listening", () => answer({ server, port: listener.address().port }));
  },

  send({ link, data, binary, fin }, answer) {
    links[link].send(Buffer.from(data, "base64"), { binary, fin, compress: false }, (error) => answer(error ? { error: error.message } : {}));
  },

  ping({ link, data }, answer) {
    links[link].ping(Buffer.from(data, "base64"));
    answer({});
  },

  close({ link, code, reason }, answer) {
    if (code === null) links[link].close();
    else links[link].close(code, reason);
    answer({});
  },

  drop({ link }, answer) {
    links[link].terminate();
    answer({});
  },

  unserve({ server }, answer) {
    for (const socket of servers[server].clients) socket.terminate();
    servers[server].close(() => answer({}));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    await operations[asked.operation](asked, (answer) => tell({ ask: asked.ask, ...answer }));
  } catch (error) {
    tell({ ask: asked.ask, error: error.message });
  }
}
process.exit(0);
