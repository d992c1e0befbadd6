// Node's ws as a peer, driven by lines of JSON on standard input; ends with it. peers.py has the other end.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import WebSocket, { WebSocketServer } from "ws";

const links = [];
const servers = [];
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const base64 = (data) => Buffer.from(data).toString("base64");

/** RFC 7692's names for ws's options. */
const perMessageDeflate = (asked) => ({
  serverNoContextTakeover: asked.server_no_context_takeover,
  clientNoContextTakeover: asked.client_no_context_takeover,
  serverMaxWindowBits: asked.server_max_window_bits,
  clientMaxWindowBits: asked.client_max_window_bits,
  threshold: 0,
});

/** Takes up an open WebSocket: tells what happens on it from now on. */
function take(socket, headers, deflate) {
  const link = links.push(socket) - 1;
  socket.on("message", (data, binary) => tell({ link, event: "message", data: base64(data), binary }));
  socket.on("pong", (data) => tell({ link, event: "pong", data: base64(data) }));
  socket.on("close", (code, reason) => tell({ link, event: "close", code, reason: reason.toString() }));
  socket.on("error", () => {});
  return { link, compress: deflate !== null, opened: { subprotocol: socket.protocol, extensions: socket.extensions, headers } };
}

const operations = {
  version: (_, answer) => answer({ version: createRequire(import.meta.url)("ws/package.json").version }),

  open({ url, subprotocols, origin, deflate }, answer) {
    const options = { ...(origin && { origin }), ...(deflate && { perMessageDeflate: perMessageDeflate(deflate) }) };
    const socket = new WebSocket(url, subprotocols, options);
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
        answer(take(socket, {}, deflate));
      });
    });
  },

  async serve({ subprotocol, refuse, deflate }, answer) {
    const listener = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      perMessageDeflate: deflate && perMessageDeflate(deflate),
      handleProtocols: (offered) => (subprotocol && offered.has(subprotocol) ? subprotocol : false),
      verifyClient: (_, done) => (refuse ? done(false, refuse, "Not here.") : done(true)),
    });
    const server = servers.push(listener) - 1;
    listener.on("connection", (socket, request) => tell({ event: "accepted", server, ...take(socket, request.headers, deflate) }));
    listener.once("listening", () => answer({ server, port: listener.address().port }));
  },

  send({ link, data, binary, fin, compress }, answer) {
    links[link].send(Buffer.from(data, "base64"), { binary, fin, compress }, (error) => answer(error ? { error: error.message } : {}));
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
