"""A tap on the wire between a client and a server: what went over it, byte for byte."""

import asyncio
import contextlib
import zlib

from checks import equal, holds
from raw import xor

TAIL = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.2


class Tap:
    """`sent["client"]` is all that the client sent, `sent["server"]` all that the server did."""

    def __init__(self):
        self.sent = {"client": bytearray(), "server": bytearray()}

    async def carry(self, side, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                self.sent[side] += data
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    def offered(self):
        return self.extensions("client")

    def agreed(self):
        """The parameters of permessage-deflate that the server named: {name: value or None}."""
        name, *params = [part.strip() for part in self.extensions("server").split(";")]
        equal(name, "permessage-deflate", "the extension agreed on")
        return {name: value or None for name, _, value in (param.partition("=") for param in params)}

    def extensions(self, side):
        lines = bytes(self.sent[side].partition(b"\r\n\r\n")[0]).decode("latin-1").split("\r\n")
        fields = [line.partition(":")[::2] for line in lines[1:]]
        return ", ".join(value.strip() for name, value in fields if name.lower() == "sec-websocket-extensions")

    def frames(self, side):
        """(fin, reserved bits, opcode, payload) of each whole frame that `side` sent."""
        at = self.sent[side].index(b"\r\n\r\n") + 4
        data = memoryview(bytes(self.sent[side]))
        while at + 2 <= len(data):
            first, size, masked = data[at], data[at + 1] & 127, data[at + 1] >> 7
            at += 2
            if size > 125:
                width = 2 if size == 126 else 8
                size = int.from_bytes(data[at:at + width], "big")
                at += width
            key = bytes(data[at:at + 4 * masked])
            at += 4 * masked
            if at + size > len(data):
                return
            payload = bytes(data[at:at + size])
            at += size
            yield first >> 7, first >> 4 & 7, first & 15, xor(payload, key) if key else payload

    def payload_bytes(self, side):
        """The payloads of all data frames, as they were on the wire."""
        return sum(len(payload) for _, _, opcode, payload in self.frames(side) if opcode < 8)

    def messages(self, side, strictly=False):
        """What `side` said, and how many of its messages were compressed. `strictly` holds it to its window."""
        agreed = self.agreed()
        bits = int(agreed.get(f"{side}_max_window_bits") or 15)
        fresh = f"{side}_no_context_takeover" in agreed
        inflater, messages, compressed = Inflater(bits, strictly), [], 0
        for fin, reserved, opcode, payload in self.frames(side):
            if opcode >= 8:
                equal(reserved, 0, "reserved bits of a control frame")
                continue
            if opcode:
                kind, squeezed, message = opcode, reserved == 4, b""
            equal(reserved, 4 if squeezed and opcode else 0, "reserved bits")
            message += payload
            if not fin:
                continue
            if squeezed:
                compressed += 1
                if fresh:
                    inflater = Inflater(bits, strictly)
                message = inflater.inflate(message + TAIL)
            messages.append(message.decode() if kind == 1 else message)
        return messages, compressed


class Inflater:
    """zlib's, which lets a distance reach further than the window while that lies in the same piece of output. With
    output in pieces of one byte nothing does: `strictly`."""

    def __init__(self, bits, strictly):
        self.inflater = zlib.decompressobj(-bits)
        self.strictly = strictly

    def inflate(self, data):
        if not self.strictly:
            return self.inflater.decompress(data)
        output = bytearray()
        for at in range(0, len(data), 32):
            rest = data[at:at + 32]
            while piece := self.inflater.decompress(rest, 1):
                output += piece
                rest = self.inflater.unconsumed_tail
            equal(self.inflater.unconsumed_tail, b"", "not inflated")
        return bytes(output)


@contextlib.asynccontextmanager
async def tapped(port):
    """A tap before the server on `port`: gives the tap and its own port, for one connection."""
    tap, done = Tap(), []

    async def connected(reader, writer):
        holds(not done, "a second connection through one tap")
        beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        done.extend((writer, beyond_writer))
        await asyncio.gather(tap.carry("client", reader, beyond_writer), tap.carry("server", beyond_reader, writer))
        for end in done:
            end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield tap, server.sockets[0].getsockname()[1]
    finally:
        for end in done:
            end.transport.abort()
        server.close()
