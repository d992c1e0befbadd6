"""Our clients against peers' servers, over TLS."""

import dataclasses

from checks import equal, holds
from certificates import key, pem, shown
from peers import Tls

TEXT = "Grüße, Κόσμε, 🦀 and plain text"
MIB = 1 << 20
ALL_BYTES = bytes(range(256))
SERVER = Tls(**shown("server"))
TRUSTING = ["--ca", pem("ca")]


async def wss_against_client(checks, programs, peer):
    checks.heading(f"Our clients over TLS, {peer.name} as the server")

    async def check(name, proof, *args):
        await checks.check(f"clients -> {peer.name} over wss: {name}", proof, *args)

    async def echoes(version, *messages):
        async with peer.serve(tls=dataclasses.replace(SERVER, version=version)) as server, \
                programs.client(server.url, *TRUSTING, name="echo_client") as client:
            link = await server.accept()
            equal(link.tls_version, f"TLSv{version}")
            for message in messages:
                await (link.text if isinstance(message, str) else link.binary)(message)
                equal(await link.recv(), message)
            equal(await link.close(1000), (1000, ""))
            (await client.finish()).clean()

    for version in ("1.2", "1.3"):
        for size, name in ((0, "0 bytes"), (125, "125 bytes"), (1 << 16, "64 KiB"), (16 * MIB, "16 MiB")):
            both = "seventy"[:7] * (size // 7) + "x" * (size % 7), (ALL_BYTES * (size // 256 + 1))[:size]
            await check(f"TLS {version}, text and binary of {name}", echoes, version, *both)

    async def fragmented(pieces, text):
        async with peer.serve(tls=SERVER) as server, programs.client(server.url, *TRUSTING, name="echo_client") as client:
            link = await server.accept()
            await link.pieces(pieces, text)
            whole = b"".join(pieces)
            equal(await link.recv(), whole.decode() if text else whole)
            await link.close(1000)
            (await client.finish()).clean()

    await check("text in fragments that cut code points", fragmented, [bytes([byte]) for byte in TEXT.encode()], True)
    await check("1 MiB of binary in 256 fragments", fragmented, [ALL_BYTES * 16] * 256, False)

    async def pings():
        async with peer.serve(tls=SERVER) as server, programs.client(server.url, *TRUSTING) as client:
            link = await server.accept()
            for payload in (b"", b"wireroom", b"\xff" * 125):
                await link.ping(payload)
            await link.text("bye")
            equal((await link.closed())[0], 1000)
            holds("bye" in (await client.finish()).clean().stdout, "the last text was not printed")

    await check("a ping is answered with its payload; the client closes with 1000, seen by both", pings)

    async def closed_by_server(code, reason):
        async with peer.serve(tls=SERVER) as server, programs.client(server.url, *TRUSTING, "--message", TEXT) as client:
            link = await server.accept()
            equal(await link.recv(), TEXT)
            equal((await link.close(code, reason))[0], 1005 if code is None else code)
            ended = await client.finish()
            ended.clean() if code in (1000, 1001, None) else ended.complained(code)

    for code, reason in ((1000, ""), (1001, "going away"), (4999, "ours, with ünïcode"), (1011, "broken"), (None, "")):
        await check(f"the server closes with {code or 'no code'}, seen by both", closed_by_server, code, reason)

    async def invalid_text():
        async with peer.serve(tls=SERVER) as server, programs.client(server.url, *TRUSTING) as client:
            link = await server.accept()
            await link.raw_text(b"valid, then \xff")
            equal((await link.closed())[0], 1007)
            (await client.finish()).complained(1007, "utf-8")

    await check("the client closes: invalid UTF-8 -> 1007", invalid_text)

    async def dropped():
        async with peer.serve(tls=SERVER) as server, programs.client(server.url, *TRUSTING, "--message", TEXT) as client:
            link = await server.accept()
            equal(await link.recv(), TEXT)
            await link.drop()
            (await client.finish()).complained("close_notify", "reset", "closing handshake")

    await check("a connection that ends without a Close is a failure", dropped)

    async def compressed():
        async with peer.serve(tls=SERVER, deflate={}) as server, \
                programs.client(server.url, *TRUSTING, "--deflate", name="echo_client") as client:
            link = await server.accept()
            holds("permessage-deflate" in link.extensions, link.extensions)
            for message in (TEXT, "", "wireroom " * (MIB // 9), ALL_BYTES * (MIB // 256), b""):
                await (link.text if isinstance(message, str) else link.binary)(message)
                equal(await link.recv(), message)
            await link.close(1000)
            (await client.finish()).clean()

    await check("permessage-deflate", compressed)

    async def refused():
        async with peer.serve(refuse=403, tls=SERVER) as server:
            (await programs.run("client", server.url, *TRUSTING)).complained(403).in_one_sentence()

    await check("a refusal by HTTP is a failure that names the status", refused)

    async def distrusted(tls, flags, *words):
        async with peer.serve(tls=tls) as server:
            ended = await programs.run("client", server.url, *flags, "--message", TEXT)
            ended.complained(*words).in_one_sentence()
            holds(server.links.empty(), "the server has seen a WebSocket")

    for name, flags, word in (
        ("unknown", TRUSTING, "unknown issuer"),
        ("server", ["--ca", pem("unknown_ca")], "unknown issuer"),
        ("server", [], "unknown issuer"),
        ("expired", TRUSTING, "expired"),
        ("future", TRUSTING, "not valid yet"),
        ("other", TRUSTING, 'not for "localhost"'),
    ):
        trusted = "the system's roots" if not flags else flags[1].rsplit("/", 1)[1]
        await check(f"a certificate {name}.pem with {trusted}: {word}", distrusted, Tls(**shown(name)), flags, word)

    async def certificates(version):
        # No server of Python tells apart who signed a certificate and who is trusted, so the client's authority is it.
        asking = Tls(ca=pem("client_ca"), version=version, **shown("server"))
        known = ["--cert", pem("client"), "--key", key("client")]
        stranger = ["--cert", pem("stranger"), "--key", key("stranger")]
        async with peer.serve(tls=asking) as server:
            async with programs.client(server.url, *TRUSTING, *known, "--message", TEXT) as client:
                link = await server.accept()
                equal(await link.recv(), TEXT)
                await link.close(1000)
                (await client.finish()).clean()
            for flags in ([], stranger):
                ended = await programs.run("client", server.url, *TRUSTING, *flags, "--message", TEXT)
                # 1.2 knows no alert for a certificate that is missing. Node closes without one.
                ended.complained("certificate_required", "handshake_failure", "unknown_ca", "alert", "during the tls handshake",
                                 "close_notify", "reset", "hung up", "closed the connection").in_one_sentence()
            holds(server.links.empty(), "somebody without a right certificate came in")

    for version in ("1.2", "1.3"):
        await check(f"TLS {version}, client certificates: one that is known, none, and a stranger's", certificates, version)

    async def plain():
        async with peer.serve() as server:
            ended = await programs.run("client", f"wss://localhost:{server.port}/", *TRUSTING)
            ended.complained("does not speak tls", "during the tls handshake").in_one_sentence()
        async with peer.serve(tls=SERVER) as server:
            (await programs.run("client", f"ws://localhost:{server.port}/")).complained().in_one_sentence()

    await check("wss:// to a port that speaks none, and ws:// to one that does", plain)
