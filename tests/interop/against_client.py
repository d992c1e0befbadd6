"""Our client against peers' servers."""

from checks import equal, holds

TEXT = "Grüße, Κόσμε, 🦀 and plain text"
MIB = 1 << 20


async def against_client(checks, programs, peer):
    checks.heading(f"Our client, {peer.name} as the server")

    async def check(name, proof, *args):
        await checks.check(f"client -> {peer.name}: {name}", proof, *args)

    async def says_bye(link, client):
        """The text `bye` makes the client start a close with 1000, and end with 0."""
        await link.text("bye")
        equal((await link.closed())[0], 1000)
        return (await client.finish()).clean()

    async def sends(message):
        async with peer.serve() as server, programs.client(server.url, "--message", message) as client:
            link = await server.accept()
            equal(await link.recv(), message)
            await says_bye(link, client)

    await check("sends text", sends, TEXT)
    await check("sends an empty text", sends, "")
    await check("sends a text of 100,000 bytes", sends, "wireroom.." * 10_000)

    async def prints(*messages):
        async with peer.serve() as server, programs.client(server.url) as client:
            link = await server.accept()
            for message in messages:
                await link.text(message)
            ended = await says_bye(link, client)
            at = 0
            for message in messages:
                found = ended.stdout.find(message, at)
                holds(found >= 0, f"{message[:60]!r} was not printed behind what came before it")
                at = found + len(message)

    await check("prints the text that arrives, in order", prints, TEXT, "second", "third")
    await check("receives an empty text", prints, "before", "", "behind")
    await check("receives 1 MiB of text", prints, "wireroom" * (MIB // 8))

    async def binary():
        async with peer.serve() as server, programs.client(server.url) as client:
            link = await server.accept()
            await link.binary(bytes(range(256)))
            await link.binary(b"")
            await link.binary(b"\x00" * MIB)
            await link.text("behind")
            ended = await says_bye(link, client)
            for word in ("256", "behind"):
                holds(word in ended.stdout, f"no {word} in {ended.stdout[:300]!r}")

    await check("receives binary, empty and of 1 MiB too, and prints its length", binary)

    async def fragmented():
        async with peer.serve() as server, programs.client(server.url) as client:
            link = await server.accept()
            await link.pieces([bytes([byte]) for byte in TEXT.encode()], True)
            await link.pieces([b"by", b"", b"e"], True)
            equal((await link.closed())[0], 1000)
            holds(TEXT in (await client.finish()).clean().stdout, "the text was not printed whole")

    await check("joins fragments that cut code points", fragmented)

    async def pings():
        async with peer.serve() as server, programs.client(server.url) as client:
            link = await server.accept()
            for payload in (b"", b"wireroom", b"\xff" * 125):
                await link.ping(payload)
            await says_bye(link, client)

    await check("answers a ping with its payload", pings)

    async def closed_by_server(code, reason):
        async with peer.serve() as server, programs.client(server.url, "--message", TEXT) as client:
            link = await server.accept()
            equal(await link.recv(), TEXT)
            equal((await link.close(code, reason))[0], 1005 if code is None else code)
            ended = await client.finish()
            if code in (1000, 1001, None):
                ended.clean()
            else:
                ended.complained(code)

    for code, reason in ((1000, ""), (1001, "going away"), (3000, "registered"), (4999, "ours, with ünïcode"), (None, "")):
        await check(f"answers Close {code or 'without a code'} in kind", closed_by_server, code, reason)
    await check("Close 1011 is a failure", closed_by_server, 1011, "broken")

    async def subprotocol():
        async with peer.serve(subprotocol="chat.v1") as server, \
                programs.client(server.url, "--subprotocol", "superchat", "--subprotocol", "chat.v1") as client:
            link = await server.accept()
            equal(link.subprotocol, "chat.v1")
            await says_bye(link, client)

    await check("offers subprotocols and takes the one chosen", subprotocol)

    async def refused():
        async with peer.serve(refuse=403) as server, programs.client(server.url, "--message", TEXT) as client:
            (await client.finish()).complained(403)

    await check("a refusal is a failure that names the status", refused)

    async def invalid_text():
        async with peer.serve() as server, programs.client(server.url) as client:
            link = await server.accept()
            await link.raw_text(b"valid, then \xff")
            equal((await link.closed())[0], 1007)
            (await client.finish()).complained(1007, "utf-8")

    await check("invalid UTF-8 -> 1007", invalid_text)

    async def too_big():
        async with peer.serve() as server, programs.client(server.url, "--max-message-size", "1000") as client:
            link = await server.accept()
            await link.text("x" * 1000)
            await link.text("y" * 1001)
            equal((await link.closed())[0], 1009)
            ended = (await client.finish()).complained(1009, "big", "limit", "large")
            holds("x" * 1000 in ended.stdout, "the message at the limit was not printed")
            holds("y" not in ended.stdout, "the message above the limit was printed")

    await check("a message above --max-message-size -> 1009", too_big)

    async def dropped():
        async with peer.serve() as server, programs.client(server.url, "--message", TEXT) as client:
            link = await server.accept()
            equal(await link.recv(), TEXT)
            await link.drop()
            (await client.finish()).complained()

    await check("a connection that ends without a Close is a failure", dropped)
