// Node's ws as a peer, driven by lines of JSON on standard input; ends with it. peers.py has the other end.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
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

/** Files in PEM and a version, as options of node:tls. */
const tlsOptions = ({ ca, cert, key, version }) => ({
  ...(ca && { ca: readFileSync(ca) }),
  ...(cert && { cert: readFileSync(cert), key: readFileSync(key) }),
  ...(version && { minVersion: `TLSv${version}`, maxVersion: `TLSv${version}` }),
});

/** Takes up an open WebSocket: tells what happens on it from now on. */
function take(socket, headers, deflate) {
  const link = links.push(socket) - 1;
  socket.on("message", (data, binary) => tell({ link, event: "message", data: base64(data), binary }));
  socket.on("pong", (data) => tell({ link, event: "pong", data: base64(data) }));
  socket.on("close", (code, reason) => tell({ link, event: "close", code, reason: reason.toString() }));
  socket.on("error", () => {});
  const tlsVersion = socket._socket.getProtocol?.() ?? null;
  return { link, compress: deflate !== null, opened: { subprotocol: socket.protocol, extensions: socket.extensions, headers, tlsVersion } };
}

const operations = {
  version: (_, answer) => answer({ version: createRequire(import.meta.url)("ws/package.json").version }),

  open({ url, subprotocols, origin, deflate, tls }, answer) {
    const options = {
      ...(origin && { origin }),
      ...(deflate && { perMessageDeflate: perMessageDeflate(deflate) }),
      ...(tls && tlsOptions(tls)),
    };
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

  async serve({ subprotocol, refuse, deflate, tls }, answer) {
    const requireCertificate = { requestCert: true, rejectUnauthorized: true };
    const http = tls ? createTlsServer({ ...tlsOptions(tls), ...(tls.ca && requireCertificate) }) : createServer();
    const listener = new WebSocketServer({
      server: http,
      perMessageDeflate: deflate && perMessageDeflate(deflate),
      handleProtocols: (offered) => (subprotocol && offered.has(subprotocol) ? subprotocol : false),
      verifyClient: (_, done) => (refuse ? done(false, refuse, "Not here.") : done(true)),
    });
    const server = servers.push({ http, listener }) - 1;
    listener.on("connection", (socket, request) => tell({ event: "accepted", server, ...take(socket, request.headers, deflate) }));
    http.listen(0, "127.0.0.1", () => answer({ server, port: http.address().port }));
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
    const { http, listener } = servers[server];
    for (const socket of listener.clients) socket.terminate();
    listener.close();
    http.close(() => answer({}));
    http.closeAllConnections();
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
