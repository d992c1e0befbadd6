"""Peers' clients against our server."""

import asyncio

from checks import equal, holds
from peers import Refused

TEXT = "Grüße, Κόσμε, 🦀 and plain text"
MIB = 1 << 20
ALL_BYTES = bytes(range(256))


async def against_server(checks, programs, peer):
    checks.heading(f"{peer.name} as the client, our echo server")

    async def check(name, proof, *args):
        await checks.check(f"{peer.name} -> echo: {name}", proof, *args)

    async with programs.echo() as port:
        url = f"ws://127.0.0.1:{port}/"

        async def echoes(message):
            async with peer.open(url) as link:
                await (link.text if isinstance(message, str) else link.binary)(message)
                equal(await link.recv(), message)
                equal(await link.close(1000), (1000, ""))

        await check("text", echoes, TEXT)
        await check("empty text", echoes, "")
        await check("binary", echoes, ALL_BYTES)
        await check("empty binary", echoes, b"")
        for size in (125, 126, 65535, 65536):
            await check(f"binary of {size} bytes", echoes, b"\xa5" * size)
        await check("1 MiB of text", echoes, "wireroom" * (MIB // 8))
        await check("1 MiB of binary", echoes, ALL_BYTES * (MIB // 256))

        async def fragmented(pieces, text):
            async with peer.open(url) as link:
                await link.pieces(pieces, text)
                whole = b"".join(pieces)
                equal(await link.recv(), whole.decode() if text else whole)
                equal(await link.close(1000), (1000, ""))

        # Every fragment holds one byte, so code points are cut in the middle.
        await check("text in fragments that cut code points", fragmented, [bytes([byte]) for byte in TEXT.encode()], True)
        await check("binary in fragments, an empty one among them", fragmented, [ALL_BYTES, b"", b"\x00" * 70000, b"end"], False)
        await check("1 MiB of binary in 256 fragments", fragmented, [ALL_BYTES * 16] * 256, False)

        async def in_order():
            async with peer.open(url) as link:
                for at in range(500):
                    await link.text(f"message {at}")
                equal([await link.recv() for _ in range(500)], [f"message {at}" for at in range(500)])
                equal(await link.close(1000), (1000, ""))

        await check("500 messages at once come back in order", in_order)

        async def pings():
            async with peer.open(url) as link:
                for payload in (b"", b"wireroom", b"\xff" * 125):
                    await link.ping(payload)
                await link.text("after the pings")
                equal(await link.recv(), "after the pings")

        await check("ping is answered with its payload", pings)

        async def closes(code, reason):
            async with peer.open(url) as link:
                await link.text(TEXT)
                equal(await link.recv(), TEXT)
                seen, _ = await link.close(code, reason)
                equal(seen, 1005 if code is None else code)

        for code, reason in ((1000, ""), (1001, "going away"), (3000, "registered"), (4999, "ours, with ünïcode"), (None, "")):
            await check(f"Close {code or 'without a code'} is answered in kind", closes, code, reason)

        async def declines_extension():
            async with peer.open(url) as link:
                equal(link.extensions, "")
                await link.text("a" * 1000)
                equal(await link.recv(), "a" * 1000)

        await check("an offered extension that the server does not know is declined", declines_extension)

        async def no_subprotocol():
            async with peer.open(url) as link:
                equal(link.subprotocol, None)
            try:
                async with peer.open(url, subprotocols=["chat.v1"]) as link:
                    holds(not peer.rejects_missing_subprotocol, "a subprotocol was chosen though the server knows none")
                    equal(link.subprotocol, None)
            except Refused as refused:
                holds(peer.rejects_missing_subprotocol, refused)
                holds("no subprotocol" in str(refused), refused)

        await check("no subprotocol is chosen by default", no_subprotocol)

        async def any_origin():
            async with peer.open(url, origin="https://anywhere.example") as link:
                await link.text(TEXT)
                equal(await link.recv(), TEXT)

        await check("any Origin is accepted without --allow-origin", any_origin)

        async def invalid_text():
            async with peer.open(url) as link:
                await link.raw_text(b"valid, then \xff")
                equal((await link.closed())[0], 1007)

        await check("invalid UTF-8 -> 1007", invalid_text)

        async def broadcast():
            async with peer.open(url + "broadcast") as one, peer.open(url + "broadcast") as two, peer.open(url) as other:
                # An echo on each connection proves that the server has both in its list before anything is broadcast.
                await one.text("from one")
                equal(await one.recv(), "from one")
                await two.text(TEXT)
                equal(await two.recv() if (first := await two.recv()) == "from one" else first, TEXT)
                equal(await one.recv(), TEXT)
                await one.binary(ALL_BYTES)
                equal([await one.recv(), await two.recv()], [ALL_BYTES, ALL_BYTES])
                await other.text("only an echo")
                equal(await other.recv(), "only an echo")
                await two.text("the end")
                equal([await one.recv(), await two.recv()], ["the end", "the end"])

        await check("/broadcast reaches all there, the sender included, and nobody elsewhere", broadcast)

        async def crowd():
            async def one(at):
                async with peer.open(url) as link:
                    for turn in range(10):
                        await link.text(f"{at}.{turn}")
                        equal(await link.recv(), f"{at}.{turn}")
                    equal(await link.close(1000), (1000, ""))

            await asyncio.gather(*(one(at) for at in range(50)))

        await check("50 connections at once, each its own echo", crowd)

    async def subprotocols():
        async with programs.echo("--subprotocol", "chat.v1") as port:
            url = f"ws://127.0.0.1:{port}/"
            async with peer.open(url, subprotocols=["superchat", "chat.v1"]) as link:
                equal(link.subprotocol, "chat.v1")
                await link.text(TEXT)
                equal(await link.recv(), TEXT)
            async with peer.open(url) as link:
                equal(link.subprotocol, None)

    await check("the subprotocol of --subprotocol is chosen when it is offered", subprotocols)

    async def origins():
        async with programs.echo("--allow-origin", "https://good.example", "--allow-origin", "null") as port:
            url = f"ws://127.0.0.1:{port}/"
            for origin in ("https://good.example", "null"):
                async with peer.open(url, origin=origin) as link:
                    await link.text(origin)
                    equal(await link.recv(), origin)
            for origin in ("https://bad.example", "http://good.example", "https://good.example.evil.example"):
                try:
                    async with peer.open(url, origin=origin):
                        holds(False, f"{origin} was let in")
                except Refused as refused:
                    equal(refused.status, 403, origin)

    await check("an Origin outside of --allow-origin -> 403", origins)

    async def too_big():
        async with programs.echo("--max-message-size", "1000") as port:
            url = f"ws://127.0.0.1:{port}/"
            async with peer.open(url) as link:
                await link.binary(b"x" * 1000)
                equal(await link.recv(), b"x" * 1000)
                await link.binary(b"x" * 1001)
                equal((await link.closed())[0], 1009)
            async with peer.open(url) as link:
                await link.pieces([b"x" * 400] * 3, True)
                equal((await link.closed())[0], 1009)

    await check("a message above --max-message-size -> 1009, whole or in fragments", too_big)
