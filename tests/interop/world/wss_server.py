"""Peers' clients against our server, over TLS."""

import dataclasses

from checks import equal, holds
from peers import Refused
from certificates import IMPOSTOR, KNOWN, STRANGERS, TRUSTING, pem, serving

TEXT = "Grüße, Κόσμε, 🦀 and plain text"
MIB = 1 << 20
ALL_BYTES = bytes(range(256))
SIZES = [(0, "0 bytes"), (125, "125 bytes"), (1 << 16, "64 KiB"), (16 * MIB, "16 MiB")]


async def refuses(peer, url, tls, *words, status=None):
    """Nobody opens; `words`: one of which the peer says."""
    try:
        async with peer.open(url, tls=tls) as link:
            # In TLS 1.3 a client is done before the server has seen its certificate.
            await link.text("am I in?")
            holds(False, f"it was let in, and heard {await link.recv()!r}")
    except (Refused, ConnectionError, OSError) as refused:
        holds(not words or any(word in str(refused).lower() for word in words), f"none of {words} in {refused}")
        if status:
            equal(refused.status, status)


async def wss_against_server(checks, programs, peer):
    checks.heading(f"{peer.name} as the client over TLS, our echo server")

    async def check(name, proof, *args):
        await checks.check(f"{peer.name} -> echo over wss: {name}", proof, *args)

    async with programs.echo(*serving("server")) as port:
        url = f"wss://localhost:{port}/"

        async def echoes(message, tls):
            async with peer.open(url, tls=tls) as link:
                equal(link.tls_version, f"TLSv{tls.version}")
                await (link.text if isinstance(message, str) else link.binary)(message)
                equal(await link.recv(), message)
                equal(await link.close(1000), (1000, ""))

        for version in ("1.2", "1.3"):
            tls = dataclasses.replace(TRUSTING, version=version)
            for size, name in SIZES:
                await check(f"TLS {version}, text of {name}", echoes, "wireroom"[:7] * (size // 7) + "x" * (size % 7), tls)
                await check(f"TLS {version}, binary of {name}", echoes, (ALL_BYTES * (size // 256 + 1))[:size], tls)

        async def by_address():
            async with peer.open(f"wss://127.0.0.1:{port}/", tls=TRUSTING) as link:
                await link.text(TEXT)
                equal(await link.recv(), TEXT)

        await check("by an address that the certificate names", by_address)

        async def fragmented(pieces, text):
            async with peer.open(url, tls=TRUSTING) as link:
                await link.pieces(pieces, text)
                whole = b"".join(pieces)
                equal(await link.recv(), whole.decode() if text else whole)

        await check("text in fragments that cut code points", fragmented, [bytes([byte]) for byte in TEXT.encode()], True)
        await check("1 MiB of binary in 256 fragments", fragmented, [ALL_BYTES * 16] * 256, False)

        async def in_order():
            async with peer.open(url, tls=TRUSTING) as link:
                for at in range(500):
                    await link.text(f"message {at}")
                equal([await link.recv() for _ in range(500)], [f"message {at}" for at in range(500)])

        await check("500 messages at once come back in order", in_order)

        async def pings():
            async with peer.open(url, tls=TRUSTING) as link:
                for payload in (b"", b"wireroom", b"\xff" * 125):
                    await link.ping(payload)

        await check("ping is answered with its payload", pings)

        async def closes(code, reason):
            async with peer.open(url, tls=TRUSTING) as link:
                await link.text(TEXT)
                equal(await link.recv(), TEXT)
                equal((await link.close(code, reason))[0], 1005 if code is None else code)

        for code, reason in ((1000, ""), (1001, "going away"), (4999, "ours, with ünïcode"), (None, "")):
            await check(f"Close {code or 'without a code'} is answered in kind", closes, code, reason)

        async def invalid_text():
            async with peer.open(url, tls=TRUSTING) as link:
                await link.raw_text(b"valid, then \xff")
                equal((await link.closed())[0], 1007)

        await check("the server closes: invalid UTF-8 -> 1007", invalid_text)
        await check("a client that trusts another authority does not come in", refuses, peer, url, STRANGERS,
                    "self-signed", "self signed", "unable to verify", "unable to get", "certificate verify failed")

        async def plain():
            await refuses(peer, f"ws://localhost:{port}/", None, status=400)

        await check("ws:// on this port -> 400", plain)
        await check("behind all that the server still serves", echoes, TEXT, dataclasses.replace(TRUSTING, version="1.3"))

    async def too_big():
        async with programs.echo(*serving("server"), "--max-message-size", "1000") as port:
            async with peer.open(f"wss://localhost:{port}/", tls=TRUSTING) as link:
                await link.binary(b"x" * 1000)
                equal(await link.recv(), b"x" * 1000)
                await link.binary(b"x" * 100_000)
                equal((await link.closed())[0], 1009)

    await check("the server closes: a message above --max-message-size -> 1009", too_big)

    async def compressed():
        async with programs.echo(*serving("server"), "--deflate") as port:
            async with peer.open(f"wss://localhost:{port}/", tls=TRUSTING, deflate={}) as link:
                holds("permessage-deflate" in link.extensions, link.extensions)
                for message in (TEXT, "", "wireroom " * (MIB // 9), ALL_BYTES * (MIB // 256), b""):
                    await (link.text if isinstance(message, str) else link.binary)(message)
                    equal(await link.recv(), message)
                equal(await link.close(1000), (1000, ""))

    await check("permessage-deflate", compressed)

    async def certificates(version):
        only = {"version": version}
        async with programs.echo(*serving("server"), "--tls-client-ca", pem("client_ca")) as port:
            url = f"wss://localhost:{port}/"
            async with peer.open(url, tls=dataclasses.replace(KNOWN, **only)) as link:
                await link.text(TEXT)
                equal(await link.recv(), TEXT)
                equal(await link.close(1000), (1000, ""))
            # In TLS 1.3 the alert comes behind the handshake, and Python tells no more than that the stream has ended.
            ended = "connection closed while reading"
            await refuses(peer, url, dataclasses.replace(TRUSTING, **only), "certificate required", "certificate_required", ended)
            await refuses(peer, url, dataclasses.replace(IMPOSTOR, **only), "unknown ca", "unknown_ca", ended)

    for version in ("1.2", "1.3"):
        await check(f"TLS {version}, client certificates: one that is known, none, and a stranger's", certificates, version)

    async def threads():
        async with programs.echo(*serving("server"), "--threads", "2") as port:
            url = f"wss://localhost:{port}/broadcast"
            async with peer.open(url, tls=TRUSTING) as one, peer.open(url, tls=TRUSTING) as two:
                await one.text(TEXT)
                equal(await one.recv(), TEXT)
                await two.text("from two")
                seen = [await two.recv(), await one.recv()]
                holds("from two" in seen[1] and seen[0] in (TEXT, "from two"), seen)

    await check("two event loops, and a broadcast across them", threads)
