// "Calls": for each thing one does, the Socket.IO call that hides it, the call that shows it, and the bytes that left.

import { element } from "./dom.js";

const MOST = 50;

const quoted = (text) => JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text);

// For each message of ours: what it is, the server's calls in Socket.IO, and the server's calls here. `HELLO` is the room
// of those who have said hello; `handle` is the loop's, as the threads of the store have it.
const CALLS = {
  hello: ({ name }) => [
    `Say hello as ${name}`,
    `io.on("connection",\n  (socket) => ..)\nsocket.emit("welcome", ..)\nsocket.broadcast\n  .emit("arrived", ..)`,
    `Event::Message(text) => ..\nsocket.emit(welcome)\nsocket.to(HELLO).emit(arrived)`,
  ],
  join: ({ room }) => [
    `Join #${room}`,
    `socket.join(${quoted(room)})\nsocket.to(${quoted(room)})\n  .emit("entered", ..)`,
    `socket.join(${quoted(room)})\nsocket.to(${quoted(room)}).emit(entered)`,
  ],
  leave: ({ room }) => [
    `Leave #${room}`,
    `socket.leave(${quoted(room)})\nsocket.to(${quoted(room)})\n  .emit("left", ..)`,
    `socket.leave(${quoted(room)})\nsocket.to(${quoted(room)}).emit(left)`,
  ],
  say: ({ room, text }) => [
    `Talk to #${room}`,
    `io.to(${quoted(room)})\n  .emit("said", ${quoted(text)})`,
    `// once it is on the disk\nhandle.to(${quoted(room)}).emit(said)\nhandle.to(id).emit(ack)`,
  ],
  whisper: ({ to, text }) => [
    `Talk to ${to} alone`,
    `socket.to(socketId)\n  .emit("whispered", ${quoted(text)})`,
    `socket.to(id).emit(whispered)`,
  ],
  shout: ({ text }) => [
    "Talk to everyone else",
    `socket.broadcast\n  .emit("shouted", ${quoted(text)})`,
    `socket.broadcast().emit(shouted)\n// or, without those who said no hello\nsocket.to(HELLO).emit(shouted)`,
  ],
  typing: ({ room }) => [
    `Write in #${room}`,
    `socket.broadcast.to(${quoted(room)})\n  .emit("typing", ..)`,
    `socket.to(${quoted(room)}).emit(typing)`,
  ],
  idle: ({ idle }) => [
    idle ? "Do nothing for a while" : "Be back",
    `socket.broadcast\n  .emit("presence", ..)`,
    `socket.to(HELLO).emit(presence)`,
  ],
  history: ({ room, before }) => [
    before === undefined ? `Ask for what was missed in #${room}` : `Scroll back in #${room}`,
    `socket.emit("history", ..)`,
    `// once it is read\nhandle.to(id).emit(history)`,
  ],
  close: ({ why }) => [
    `Closed: ${why}`,
    `socket.on("disconnect",\n  (reason) => ..)`,
    `Event::Closed(closed) => ..`,
  ],
};

/** `bytes` is what the wire carried; `list` is where it is shown, the latest first. */
export function showCall(list, message, bytes) {
  const [title, hidden, shown] = CALLS[message.type](message);
  const parts = element("dl");
  for (const [term, code] of [["Socket.IO", hidden], ["wireroom", shown], ["The wire", bytes]]) {
    parts.append(element("dt", "", term), element("dd", "", element("code", "", code)));
  }
  list.prepend(element("li", "", element("h3", "", title), parts));
  while (list.children.length > MOST) list.lastChild.remove();
}

/** The frame of a text message from a browser: RFC 6455 section 5.2. Only a negotiated extension would change it. */
export function frame(text) {
  const { length } = new TextEncoder().encode(text);
  const hex = (value, digits) => value.toString(16).padStart(digits, "0").replace(/..(?=.)/g, "$& ");
  const extended = length < 126 ? hex(0x80 | length, 2) : length < 65536 ? `fe ${hex(length, 4)}` : `ff ${hex(length, 16)}`;
  return `81 ${extended} <4-byte masking key>\n${text}`;
}

/** The Close frame that came from the server: RFC 6455 section 5.5.1. */
export function closeFrame(code, reason) {
  if (code === 1006) return "no Close frame came";
  if (code === 1005) return "88 00";
  const length = 2 + new TextEncoder().encode(reason).length;
  return `88 ${length.toString(16).padStart(2, "0")} ${code.toString(16).padStart(4, "0").replace(/..(?=.)/, "$& ")} ${reason}`.trim();
}
