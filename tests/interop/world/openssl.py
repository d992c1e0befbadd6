"""The openssl command line in both roles: another implementation of TLS, with its opinion on ours."""

import asyncio
import contextlib
import pathlib
import re
import tempfile

from checks import Program, equal, holds
from certificates import key, pem, serving

UPGRADE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
VERIFIED = ["-CAfile", pem("ca"), "-verify_return_error", "-verify_hostname"]


async def s_client(port, *flags, say=b"", until=None):
    """What s_client says, on both streams; it is told `say`, and its input ends once it has said `until`."""
    program = await Program().start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *flags, stdin=asyncio.subprocess.PIPE)
    try:
        process, said = program.process, b""
        with contextlib.suppress(ConnectionError):  # it has given up already
            process.stdin.write(say)
            await process.stdin.drain()
        while until and until not in said:
            piece = await process.stdout.read(65536)
            if not piece:
                break
            said += piece
        process.stdin.close()
        ended = await program.finish()
        return ended.status, said.decode("latin-1") + ended.stdout + ended.stderr
    finally:
        await program.stop()


async def opens(port, *flags):
    """s_client with an opening handshake on it, which is accepted."""
    status, said = await s_client(port, *flags, say=UPGRADE, until=b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    holds("101 Switching Protocols" in said, said[-600:])
    return said


async def openssl_as_client(checks, programs):
    checks.heading("openssl s_client, our echo server")

    async def check(name, proof, *args):
        await checks.check(f"openssl s_client -> echo: {name}", proof, *args)

    async with programs.echo(*serving("server"), *serving("other")) as port:

        async def handshake(flag, version):
            said = await opens(port, flag, "-alpn", "http/1.1", "-servername", "localhost", *VERIFIED, "localhost")
            for words in (f"New, {version}, Cipher is", "ALPN protocol: http/1.1", "Verification: OK", "Verified peername: localhost"):
                holds(words in said, f"no {words!r} in {said[-1500:]}")
            return re.search(r"Cipher is (\S+)", said)[1]

        await check("TLS 1.2: verified, ALPN http/1.1, an upgrade", handshake, "-tls1_2", "TLSv1.2")
        await check("TLS 1.3: verified, ALPN http/1.1, an upgrade", handshake, "-tls1_3", "TLSv1.3")

        async def named(name, subject, *flags):
            said = await opens(port, *flags, *(["-servername", name] if name else ["-noservername"]))
            equal(re.search(r"^subject=CN = (.*)$", said, re.MULTILINE)[1], subject)

        for name, which in (("localhost", "server"), ("other.example", "other"), ("a.wild.example", "other"),
                            ("nobody.example", "server"), (None, "server")):
            for flag in ("-tls1_2", "-tls1_3"):
                await check(f"SNI {name} {flag}: the certificate {which}.pem", named, name, f"wireroom test {which}", flag)

        async def wrong_name():
            status, said = await s_client(port, "-servername", "localhost", *VERIFIED, "other.example")
            holds(status != 0 and "hostname mismatch" in said.lower(), said[-600:])

        await check("a certificate for another name is refused", wrong_name)

        async def another_authority():
            status, said = await s_client(port, "-CAfile", pem("unknown_ca"), "-verify_return_error")
            holds(status != 0 and "unable to get local issuer certificate" in said.lower(), said[-600:])

        await check("another authority is refused", another_authority)

        async def no_alpn():
            _, said = await s_client(port, "-alpn", "h2")
            holds("no application protocol" in said, said[-600:])

        await check("ALPN of h2 alone: the alert no_application_protocol", no_alpn)

        async def both_alpn():
            said = await opens(port, "-alpn", "h2,http/1.1")
            holds("ALPN protocol: http/1.1" in said, said[-600:])

        await check("ALPN of h2 and http/1.1: http/1.1", both_alpn)

        async def old(flag):
            # Debian's policy would not let openssl offer them.
            _, said = await s_client(port, flag, "-cipher", "DEFAULT@SECLEVEL=0")
            # A client of that age names no kinds of signature, which is looked at first.
            holds("alert protocol version" in said or "alert handshake failure" in said, said[-600:])

        for flag in ("-tls1", "-tls1_1"):
            await check(f"{flag}: refused by an alert", old, flag)

        async def reconnect():
            status, said = await s_client(port, "-tls1_2", "-reconnect")
            equal((status, said.count("New, TLSv1.2"), said.count("Reused, TLSv1.2")), (0, 1, 5))

        await check("TLS 1.2, -reconnect: the session is resumed five times", reconnect)

        async def resumed(flag, version):
            with tempfile.TemporaryDirectory() as directory:
                session = pathlib.Path(directory) / "session.pem"
                said = await opens(port, flag, "-servername", "localhost", "-sess_out", session)
                holds(f"New, {version}" in said, said[-600:])
                said = await opens(port, flag, "-servername", "localhost", "-sess_in", session)
                holds(f"Reused, {version}" in said, said[-600:])

        await check("TLS 1.2, -sess_out and -sess_in: resumed", resumed, "-tls1_2", "TLSv1.2")
        await check("TLS 1.3, -sess_out and -sess_in: resumed", resumed, "-tls1_3", "TLSv1.3")

        async def plain_http(request):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                answer = await reader.read()
                holds(answer.startswith(b"HTTP/1.1 400 ") and b"TLS" in answer, repr(answer))
            finally:
                writer.close()

        await check("plain HTTP on the port: 400, and a line that says TLS", plain_http, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await check("a plain upgrade on the port: the same", plain_http, UPGRADE)

        async def https():
            said = (await s_client(port, "-quiet", "-servername", "localhost", say=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                   until=b"\r\n\r\n"))[1]
            holds("HTTP/1.1 426 " in said, said[-600:])

        await check("a request over TLS that asks for no WebSocket: 426", https)

    async def certificates(flag):
        async with programs.echo(*serving("server"), "--tls-client-ca", pem("client_ca")) as port:
            said = await opens(port, flag, "-cert", pem("client"), "-key", key("client"))
            holds("wireroom test authority for clients" in said, f"whom the server trusts is not in {said[-1500:]}")
            for shown in ([], ["-cert", pem("stranger"), "-key", key("stranger")]):
                _, said = await s_client(port, flag, *shown, say=UPGRADE, until=b"alert")
                holds("101 Switching" not in said, "it was let in")
                wanted = "unknown ca" if shown else "certificate required"
                holds(f"alert {wanted}" in said, f"no alert {wanted!r} in {said[-800:]}")

    for flag in ("-tls1_2", "-tls1_3"):
        await check(f"{flag}, client certificates: one that is known, none, and a stranger's", certificates, flag)


@contextlib.asynccontextmanager
async def s_server(*flags):
    """A running s_server: gives its port."""
    program = await Program().start("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", pem("server"), "-key", key("server"),
                                    *flags, stdin=asyncio.subprocess.PIPE)
    try:
        while True:
            line = await program.process.stdout.readline()
            holds(line, "s_server ended")
            if found := re.fullmatch(rb"ACCEPT 127\.0\.0\.1:(\d+)\n", line):
                yield int(found[1])
                return
    finally:
        await program.stop()


async def openssl_as_server(checks, programs):
    checks.heading("Our client, openssl s_server")

    async def check(name, proof, *args):
        await checks.check(f"client -> openssl s_server: {name}", proof, *args)

    async def fails(flags, *words):
        async with s_server(*flags) as port:
            ended = await programs.run("client", f"wss://localhost:{port}/", "--ca", pem("ca"), "--handshake-timeout", "2")
            ended.complained(*words).in_one_sentence()
            return ended.stderr.strip()

    for flag in ("-tls1_2", "-tls1_3"):
        await check(f"{flag}, a server of web pages: its status is told", fails, [flag, "-www"], "200")
        await check(f"{flag}, one that says nothing: the time is up", fails, [flag], "time")
    await check("a server of files (-WWW), which has none: not HTTP/1.1 101", fails, ["-WWW"], "http", "status", "200", "closed")
    await check("one that says each line backwards (-rev): no HTTP", fails, ["-rev"], "http", "status line", "bad", "response")
    await check("one that speaks ALPN h2 alone", fails, ["-alpn", "h2"], "no application protocol in common")
    await check("one that speaks no more than TLS 1.1", fails, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
                "protocol_version", "no version")
    await check("one that requires a certificate", fails, ["-Verify", "1", "-verify_return_error", "-CAfile", pem("client_ca"), "-tls1_3"],
                "certificate_required", "(116)")
