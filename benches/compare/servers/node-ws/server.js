// Node's ws: `node server.js PORT MODE`. With bufferutil and utf-8-validate, its addons for speed.
'use strict';

const { WebSocketServer, WebSocket } = require('ws');

const [port, mode] = process.argv.slice(2);
const noTakeover = mode === 'deflate-no-takeover';
const deflates = noTakeover || mode === 'deflate-takeover';
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(port),
  backlog: 4096,
  maxPayload: 64 << 20,
  allowSynchronousEvents: true,
  perMessageDeflate: deflates && {
    serverNoContextTakeover: noTakeover,
    clientNoContextTakeover: noTakeover,
    zlibDeflateOptions: { level: 6 },
    threshold: 0,
  },
});

server.on('connection', (socket) => {
  socket.on('error', () => {});
  if (mode === 'broadcast') {
    socket.on('message', (data, binary) => {
      for (const client of server.clients) {
        if (client.readyState === WebSocket.OPEN) client.send(data, { binary });
      }
    });
    return;
  }
  // Corked for the turn: replies to what came in one read leave in one write.
  let corked = false;
  socket.on('message', (data, binary) => {
    if (!corked) {
      corked = true;
      const stream = socket._socket;
      stream.cork();
      process.nextTick(() => {
        corked = false;
        stream.uncork();
      });
    }
    socket.send(data, { binary, compress: deflates });
  });
});
