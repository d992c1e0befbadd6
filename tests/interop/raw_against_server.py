"""Raw sockets against our server."""

import asyncio
import base64
import re
import socket

from checks import equal, holds
from raw import (ACCEPT, BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, frame, opened, request, wire_to)

# What is wrong, its bytes, and the close code that must come back.
BROKEN_FRAMES = [
    ("an unmasked frame", frame(TEXT, b"hello", mask=False), 1002),
    ("an unmasked ping", frame(PING, b"hello", mask=False), 1002),
    ("RSV1 without an extension", frame(TEXT, b"hello", rsv=4), 1002),
    ("RSV2", frame(TEXT, b"hello", rsv=2), 1002),
    ("RSV3", frame(BINARY, b"hello", rsv=1), 1002),
    ("reserved opcode 3", frame(3, b"hello"), 1002),
    ("reserved opcode 11", frame(11), 1002),
    ("a ping of 126 bytes", frame(PING, b"x" * 126), 1002),
    ("a fragmented ping", frame(PING, b"x", fin=False), 1002),
    ("a continuation of nothing", frame(CONTINUATION, b"x"), 1002),
    ("a new message inside another", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    ("a length that is not minimal", frame(TEXT, b"hello", width=2), 1002),
    ("a length with the top bit set", frame(BINARY, b"", length=1 << 63), 1002),
    ("a Close of one byte", frame(CLOSE, b"\x03"), 1002),
    *((f"Close code {code}", frame(CLOSE, code.to_bytes(2, "big")), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)),
    ("a close reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
    ("text that is not UTF-8", frame(TEXT, b"\xc3\x28"), 1007),
    ("a surrogate in text", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ("text that ends inside a code point", frame(TEXT, b"\xf0\x9f\xa6"), 1007),
    ("fragments that end inside a code point", frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"\xa6"), 1007),
    ("not UTF-8 in a frame that is not finished", frame(TEXT, b"ab\xff", length=1000), 1007),
    ("a declared length of a terabyte", frame(BINARY, b"", length=1 << 40), 1009),
]

# What is wrong with the request, its bytes, the status, and a header that must be in the answer.
BROKEN_REQUESTS = [
    ("no Host", request(drop=["Host"]), 400, {}),
    ("two Hosts", request(extra=["Host: other"]), 400, {}),
    ("no key", request(drop=["Sec-WebSocket-Key"]), 400, {}),
    ("two keys", request(extra=[f"Sec-WebSocket-Key: {KEY}"]), 400, {}),
    ("a key of 15 bytes", request(Sec_WebSocket_Key=base64.b64encode(b"x" * 15).decode()), 400, {}),
    ("a key that is not base64", request(Sec_WebSocket_Key="not base64 at all!!!!!!="), 400, {}),
    ("version 12", request(Sec_WebSocket_Version="12"), 426, {"sec-websocket-version": "13"}),
    ("no version", request(drop=["Sec-WebSocket-Version"]), None, {}),
    ("POST", request(line="POST / HTTP/1.1"), 405, {"allow": "GET"}),
    ("no upgrade asked for", request(drop=["Upgrade", "Connection"]), 426, {"upgrade": "websocket"}),
    ("a body on an upgrade", request(Content_Length="5") + b"hello", 400, {}),
    ("two lengths that differ", request(extra=["Content-Length: 1", "Content-Length: 2"]), 400, {}),
    ("a length and a transfer coding", request(extra=["Content-Length: 1", "Transfer-Encoding: chunked"]), 400, {}),
    ("whitespace before a colon", request(extra=["X-Bad : 1"]), 400, {}),
    ("a folded header", request(extra=["X-Bad: 1", " 2"]), 400, {}),
    ("NUL in a header", request(extra=["X-Bad: a\x00b"]), 400, {}),
    ("a bare LF", b"GET / HTTP/1.1\nHost: 127.0.0.1\r\n\r\n", 400, {}),
    ("a bare CR", request(extra=["X-Bad: a\rb"]), 400, {}),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, {}),
    ("HTTP/2.0", request(line="GET / HTTP/2.0"), 505, {}),
    ("a target of 100,000 bytes", request("/" + "a" * 100_000), 414, {}),
    ("headers of 100,000 bytes", request(extra=[f"X-Long: {'a' * 100_000}"]), 431, {}),
    ("10,000 headers", request(extra=["a: b"] * 10_000), 431, {}),
]


async def raw_against_server(checks, programs):
    checks.heading("Raw sockets, our echo server")

    async def check(name, proof, *args):
        await checks.check(f"raw -> echo: {name}", proof, *args)

    async with programs.echo() as port:
        async def broken_frame(sent, code):
            async with opened(port) as wire:
                await wire.send(sent)
                await wire.closed_with(code)

        for name, sent, code in BROKEN_FRAMES:
            await check(f"{name} -> {code}", broken_frame, sent, code)

        async def broken_request(sent, status, wanted):
            async with wire_to(port) as wire:
                await wire.send(sent)
                line, headers = await wire.head()
                found = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", line)
                holds(found, line)
                holds(int(found[1]) in ([400, 426] if status is None else [status]), f"{line}, wanted {status or '400 or 426'}")
                for name, value in wanted.items():
                    equal(headers.get(name), [value], name)
                tokens = [token.strip().lower() for value in headers.get("connection", []) for token in value.split(",")]
                holds("close" in tokens, f"no close in Connection: {headers}")
                await wire.reader.read()

        for name, sent, status, wanted in BROKEN_REQUESTS:
            await check(f"{name} -> HTTP {status or '400 or 426'}", broken_request, sent, status, wanted)

        async def accepts(sent):
            async with wire_to(port) as wire:
                await wire.send(sent)
                line, headers = await wire.head()
                holds(line.startswith("HTTP/1.1 101 "), line)
                equal(headers["sec-websocket-accept"], [ACCEPT])
                equal([headers["upgrade"][0].lower(), headers["connection"][0].lower()], ["websocket", "upgrade"])
                holds(not {"sec-websocket-protocol", "sec-websocket-extensions"} & headers.keys(), "something not offered was chosen")

        await check("the RFC's own key gets the RFC's own answer", accepts, request())
        await check("case and lists in Upgrade and Connection", accepts,
                    request(Upgrade="h2c, WebSocket", Connection="keep-alive", extra=["Connection: x, uPgRaDe"]))
        await check("an empty line before the request", accepts, b"\r\n" + request())
        await check("a target in absolute form", accepts, request("http://127.0.0.1/path"))

        async def byte_by_byte():
            async with wire_to(port) as wire:
                sent = request() + frame(TEXT, "Grüße".encode(), fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"!") + frame(CLOSE, b"\x03\xe9")
                for byte in sent:
                    await wire.send(bytes([byte]))
                    await asyncio.sleep(0)
                holds((await wire.head())[0].startswith("HTTP/1.1 101 "), "refused")
                equal((await wire.frame())[:4], (1, PONG, 0, b"p"))
                equal((await wire.frame())[:4], (1, TEXT, 0, "Grüße!".encode()))
                await wire.closed_with(1001)

        await check("a whole conversation, one byte at a time", byte_by_byte)

        async def one_segment():
            async with wire_to(port) as wire:
                await wire.send(request() + frame(TEXT, b"one") + frame(BINARY, b"two") + frame(CLOSE))
                holds((await wire.head())[0].startswith("HTTP/1.1 101 "), "refused")
                equal((await wire.frame())[:4], (1, TEXT, 0, b"one"))
                equal((await wire.frame())[:4], (1, BINARY, 0, b"two"))
                await wire.closed_with(1005)

        await check("request, messages and Close in one segment: nothing is lost", one_segment)

        async def silent_pong():
            async with opened(port) as wire:
                await wire.send(frame(PONG, b"nobody asked") + frame(TEXT, b"hello"))
                equal((await wire.frame())[:4], (1, TEXT, 0, b"hello"))

        await check("a pong that nobody asked for is no fault", silent_pong)

        async def nothing_behind_close():
            async with opened(port) as wire:
                await wire.send(frame(CLOSE, b"\x03\xe8bye") + frame(TEXT, b"too late"))
                await wire.closed_with(1000)

        await check("data behind a Close is not echoed", nothing_behind_close)

        async def vanishing():
            for _ in range(20):
                async with opened(port) as wire:
                    await wire.send(frame(TEXT, b"x" * 50_000, length=100_000))
            async with opened(port) as wire:
                await wire.send(frame(TEXT, b"still here"))
                equal((await wire.frame())[3], b"still here")

        await check("20 peers that vanish in the middle of a message", vanishing)

        async def late_reader():
            async with opened(port) as wire:
                # 40 MB, far more than the sockets' own buffers take.
                for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                    wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, 1 << 18)
                messages = [at.to_bytes(4, "big") * 1024 for at in range(10_000)]

                async def write():
                    for message in messages:
                        await wire.send(frame(BINARY, message))

                writing = asyncio.create_task(write())
                await asyncio.sleep(1)
                holds(not writing.done(), "40 MB were taken from a peer that reads nothing")
                for message in messages:
                    equal((await wire.frame())[1::2], (BINARY, message))
                await writing

        await check("a peer that reads late is read late, and loses nothing of 10,000 messages", late_reader)

        async def never_reads():
            async with opened(port, "/broadcast") as dead, opened(port, "/broadcast") as live:
                message = b"x" * 16_384

                async def write():
                    for _ in range(1000):
                        await live.send(frame(BINARY, message))

                writing = asyncio.create_task(write())
                for _ in range(1000):
                    equal((await live.frame())[3], message)
                await writing
                await dead.send(frame(PING))

        await check("a member of /broadcast that never reads holds nobody up", never_reads)

        async def end_of_stream():
            async with opened(port) as wire:
                await wire.end_of_stream()
                await wire.reader.read()

        await check("a peer that only ends its stream is let go", end_of_stream)

    async def handshake_timeout():
        async with programs.echo("--handshake-timeout", "1") as port, wire_to(port) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHo")
            answer = await asyncio.wait_for(wire.reader.read(), 6)
            holds(not answer or answer.startswith(b"HTTP/1.1 408 "), answer[:80])

    await check("--handshake-timeout: half a request is not waited for", handshake_timeout)

    async def keepalive():
        flags = ("--keepalive-interval", "1", "--keepalive-timeout", "1")
        async with programs.echo(*flags) as port, opened(port) as alive, opened(port) as dead:
            for _ in range(3):
                _, opcode, _, payload, _ = await asyncio.wait_for(alive.frame(), 6)
                equal(opcode, PING)
                await alive.send(frame(PONG, payload))
            equal((await dead.frame())[1], PING)
            await asyncio.wait_for(dead.reader.read(), 6)
            holds(dead.reader.at_eof(), "still open")
            await alive.send(frame(TEXT, b"alive"))
            while (got := await alive.frame())[1] == PING:
                pass
            equal(got[3], b"alive")

    await check("--keepalive-interval: who answers stays, who does not is closed", keepalive)

    async def close_timeout():
        async with programs.echo("--close-timeout", "1") as port, opened(port) as wire:
            await wire.send(frame(3))
            equal((await wire.frame())[1], CLOSE)
            await asyncio.wait_for(wire.reader.read(), 6)

    await check("--close-timeout: a peer that does not close is not waited for", close_timeout)

    async def port_taken():
        async with programs.echo() as port:
            (await programs.run("echo", "--listen", f"127.0.0.1:{port}")).complained("in use")

    await check("a port that is taken is a failure with a reason", port_taken)

    async def bad_configuration():
        (await programs.run("echo", "--listen", "127.0.0.1:0", "--keepalive-interval", "0")).complained("keepalive_interval")

    await check("bad configuration is a failure that names the field", bad_configuration)
