"""Raw sockets, for what no decent library sends: broken handshakes and broken frames."""

import asyncio
import contextlib

from checks import equal, holds

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MASKING_KEY = b"\x37\xfa\x21\x3d"  # RFC 6455 section 5.7


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None, width=None):
    """One frame, as wrong as it is asked to be: `length` and `width` (0, 2 or 8 bytes) overrule what would be right."""
    size = len(payload) if length is None else length
    width = (0 if size < 126 else 2 if size < 65536 else 8) if width is None else width
    head = bytes([fin << 7 | rsv << 4 | opcode, mask << 7 | (size if width == 0 else 126 if width == 2 else 127)])
    head += size.to_bytes(width, "big") if width else b""
    if not mask:
        return head + payload
    return head + MASKING_KEY + xor(payload, MASKING_KEY)


def xor(payload, key):
    """Masks or unmasks."""
    size = len(payload)
    return (int.from_bytes(payload, "big") ^ int.from_bytes((key * (size // 4 + 1))[:size], "big")).to_bytes(size, "big")


def request(path="/", drop=(), extra=(), line=None, **changed):
    """An opening request; a header named in `changed` is given that value, one in `drop` left out."""
    headers = {"Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
               "Sec-WebSocket-Version": "13"}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [line or f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if name not in drop), *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Wire:
    """One end of a TCP connection, and what arrives on it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        """The first line of a head, and its headers, in lower case."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:-2]:
            name, value = line.split(":", 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        return lines[0], headers

    async def frame(self):
        """(fin, opcode, masked, payload, masking key) of the next frame."""
        reserved, *rest = await self.any_frame()
        equal(reserved, 0, "reserved bits")
        return tuple(rest)

    async def any_frame(self):
        """The same, with the reserved bits before it."""
        first, second = await self.reader.readexactly(2)
        size, masked = second & 127, second >> 7
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        key = await self.reader.readexactly(4) if masked else b""
        payload = await self.reader.readexactly(size)
        if masked:
            payload = xor(payload, key)
        return first >> 4 & 7, first >> 7, first & 15, masked, payload, key

    async def end_of_stream(self):
        """Ends our direction; the other side may have gone already."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def ends(self):
        """Waits for the end of the stream; nothing may come before it."""
        with contextlib.suppress(ConnectionResetError):
            equal(await self.reader.read(100), b"", "behind the end")

    async def closed_with(self, code):
        """The next frame is a Close with this code, and then the stream ends."""
        _, opcode, _, payload, _ = await self.frame()
        equal(opcode, CLOSE, "opcode")
        equal(int.from_bytes(payload[:2], "big") if payload else 1005, code, "close code")
        payload[2:].decode()
        await self.ends()


@contextlib.asynccontextmanager
async def wire_to(port):
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield wire
    finally:
        wire.writer.transport.abort()


@contextlib.asynccontextmanager
async def opened(port, path="/"):
    async with wire_to(port) as wire:
        await wire.send(request(path))
        line, _ = await wire.head()
        holds(line.startswith("HTTP/1.1 101 "), line)
        yield wire
