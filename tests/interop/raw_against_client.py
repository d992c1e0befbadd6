"""Our client against raw sockets."""

import asyncio
import base64
import contextlib
import hashlib

from checks import equal, holds
from raw import ACCEPT, BINARY, CLOSE, CONTINUATION, TEXT, Wire, frame

@contextlib.asynccontextmanager
async def serving(answer):
    """A server of one TCP connection: `answer(wire)` is awaited by `done`."""
    taken = asyncio.get_running_loop().create_future()

    async def take(reader, writer):
        if taken.done():
            writer.transport.abort()
        else:
            taken.set_result(Wire(reader, writer))

    async def done():
        wire = await taken
        try:
            return await answer(wire)
        finally:
            wire.writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], done
    finally:
        if taken.done():
            taken.result().writer.transport.abort()
        server.close()


def response(headers, accept=None, line="HTTP/1.1 101 Switching Protocols", drop=(), extra=()):
    """The answer to a request with these headers; `accept` overrules the right Sec-WebSocket-Accept."""
    digest = hashlib.sha1((headers["sec-websocket-key"][0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept or base64.b64encode(digest).decode()}
    return ("\r\n".join([line, *(f"{name}: {value}" for name, value in fields.items() if name not in drop), *extra]) + "\r\n\r\n").encode()


BROKEN_RESPONSES = [
    ("a wrong accept", {"accept": ACCEPT}),
    ("no accept", {"drop": ["Sec-WebSocket-Accept"]}),
    ("no Upgrade", {"drop": ["Upgrade"]}),
    ("no Connection", {"drop": ["Connection"]}),
    ("another protocol in Upgrade", {"drop": ["Upgrade"], "extra": ["Upgrade: h2c"]}),
    ("a subprotocol that was not offered", {"extra": ["Sec-WebSocket-Protocol: chat.v2"]}),
    ("an extension that was not offered", {"extra": ["Sec-WebSocket-Extensions: permessage-unknown"]}),
    ("status 200", {"line": "HTTP/1.1 200 OK"}),
    ("a response that is no HTTP", {"line": "SSH-2.0-OpenSSH_9.2"}),
]

BROKEN_SERVER_FRAMES = [
    ("a masked frame", frame(TEXT, b"hello"), 1002),
    ("reserved opcode 3", frame(3, mask=False), 1002),
    ("RSV1 without an extension", frame(TEXT, b"x", mask=False, rsv=4), 1002),
    ("a continuation of nothing", frame(CONTINUATION, b"x", mask=False), 1002),
    ("Close code 1005", frame(CLOSE, b"\x03\xed", mask=False), 1002),
    ("text that is not UTF-8", frame(TEXT, b"\xff", mask=False), 1007),
    ("a declared length of a terabyte", frame(BINARY, mask=False, length=1 << 40), 1009),
]


async def raw_against_client(checks, programs):
    checks.heading("Our client, raw sockets as the server")

    async def check(name, proof, *args):
        await checks.check(f"client -> raw: {name}", proof, *args)

    async def good():
        async def answer(wire):
            line, headers = await wire.head()
            equal(line, "GET /path?q=1 HTTP/1.1")
            equal(headers["host"], [f"127.0.0.1:{port}"])
            equal(len(base64.b64decode(headers["sec-websocket-key"][0], validate=True)), 16, "bytes in the key")
            equal([headers["sec-websocket-version"], headers["upgrade"][0].lower()], [["13"], "websocket"])
            holds("upgrade" in headers["connection"][0].lower(), headers["connection"])
            holds("sec-websocket-protocol" not in headers, "a subprotocol was offered")
            await wire.send(response(headers) + frame(TEXT, b"at once", mask=False) + frame(TEXT, b"bye", mask=False))
            sent = [await wire.frame(), await wire.frame()]
            equal([(opcode, masked, payload) for _, opcode, masked, payload, _ in sent], [(TEXT, 1, b"hello"), (CLOSE, 1, b"\x03\xe8")])
            holds(sent[0][4] != sent[1][4], "two frames with one masking key")
            await wire.send(frame(CLOSE, b"\x03\xe8", mask=False))
            return headers["sec-websocket-key"]

        keys = []
        for _ in range(2):
            async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/path?q=1", "--message", "hello") as client:
                keys.append(await done())
                holds("at once" in (await client.finish()).clean().stdout, "what came right behind the response was lost")
        holds(keys[0] != keys[1], "two handshakes with one key")

    await check("a right request, masked frames, fresh keys, nothing lost behind the response", good)

    async def broken_response(changes):
        async def answer(wire):
            _, headers = await wire.head()
            await wire.send(response(headers, **changes))
            await wire.end_of_stream()
            return await wire.reader.read()

        async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/", "--message", "hello") as client:
            equal(await done(), b"", "sent behind a failed handshake")
            (await client.finish()).complained()

    for name, changes in BROKEN_RESPONSES:
        await check(f"{name}: no frame is sent, and it is a failure", broken_response, changes)

    async def refusal(status, lines, body):
        async def answer(wire):
            await wire.head()
            await wire.send("\r\n".join([f"HTTP/1.1 {status} Some Words", *lines]).encode() + b"\r\n\r\n" + body)
            await wire.end_of_stream()
            await wire.reader.read()

        async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/") as client:
            await done()
            (await client.finish()).complained(status)

    await check("404 with a chunked body is a failure that names the status", refusal, 404, ["Transfer-Encoding: chunked"], b"5\r\nsorry\r\n0\r\n\r\n")
    await check("503 with a body until the end is a failure that names the status", refusal, 503, [], b"later")
    await check("302 is a failure that names the status", refusal, 302, ["Location: ws://127.0.0.1:1/", "Content-Length: 0"], b"")

    async def broken_frame(sent, code):
        async def answer(wire):
            _, headers = await wire.head()
            await wire.send(response(headers) + sent)
            _, opcode, masked, payload, _ = await wire.frame()
            equal((opcode, masked, int.from_bytes(payload[:2], "big")), (CLOSE, 1, code))

        async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/") as client:
            await done()
            (await client.finish()).complained()

    for name, sent, code in BROKEN_SERVER_FRAMES:
        await check(f"{name} -> {code}", broken_frame, sent, code)

    async def secure():
        async def answer(wire):
            return await wire.reader.read()

        async with serving(answer) as (port, done), programs.client(f"wss://127.0.0.1:{port}/", "--message", "hello") as client:
            (await client.finish()).complained()
            # It may not even have connected; if it has, it said nothing but a ClientHello, where it is built with TLS.
            with contextlib.suppress(asyncio.TimeoutError):
                sent = await asyncio.wait_for(done(), 0.2)
                holds(not sent or sent[0] == 22, f"sent in the clear: {sent!r}")

    await check("a wss:// URL is not spoken to in the clear", secure)

    async def silence():
        async def answer(wire):
            await wire.head()
            await wire.reader.read()

        async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/", "--handshake-timeout", "1") as client:
            await asyncio.wait_for(done(), 6)
            (await client.finish()).complained()

    await check("--handshake-timeout: a server that never answers is a failure", silence)

    async def nobody():
        async with serving(None) as (port, _):
            pass
        async with programs.client(f"ws://127.0.0.1:{port}/") as client:
            (await client.finish()).complained()

    await check("nobody listening is a failure", nobody)

    async def never_closes():
        async def answer(wire):
            _, headers = await wire.head()
            await wire.send(response(headers) + frame(TEXT, b"bye", mask=False))
            equal((await wire.frame())[1], CLOSE)
            await wire.reader.read()

        async with serving(answer) as (port, done), programs.client(f"ws://127.0.0.1:{port}/", "--close-timeout", "1") as client:
            await asyncio.wait_for(done(), 6)
            (await client.finish()).complained()

    await check("--close-timeout: a server that never answers a Close is a failure", never_closes)
