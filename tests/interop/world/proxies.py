"""Our client through tinyproxy (HTTP CONNECT) and microsocks (SOCKS5), to our server and to Node's."""

import asyncio
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import tempfile

from checks import Program, equal, holds
from certificates import pem, serving, shown
from peers import Tls

MIB = 1 << 20
USER = "ann"
# As they are, and as they stand in a URL. tinyproxy knows letters, digits, and -_. only.
PASSWORD, ENCODED = "p.ss-word", f"{USER}:p%2Ess%2Dword"
ODD_PASSWORD, ODD_ENCODED = "p@ss:w/rd", f"{USER}:p%40ss%3Aw%2Frd"
SECRETS = (PASSWORD, ENCODED, ODD_PASSWORD, ODD_ENCODED, "wrong-password")
TRUSTING = ["--ca", pem("ca")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """A running proxy, which writes down where it led to."""

    def __init__(self, port, log, process):
        self.port, self.log, self.process = port, log, process
        self.is_killed = False

    def at(self, scheme, user=""):
        return f"{scheme}://{user}{'@' if user else ''}127.0.0.1:{self.port}"

    async def kill(self):
        self.is_killed = True
        self.process.kill()
        await self.process.wait()

    async def led_to(self, port):
        """It has led somebody to this port: what it says of that may come a moment later."""
        while f"localhost:{port}" not in self.log.read_text(errors="replace"):
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(command):
    """A proxy of `command(port, directory)`. It knows no port 0, so a free one that somebody else took is tried again."""
    with tempfile.TemporaryDirectory(prefix="wireroom-world-") as directory:
        directory = pathlib.Path(directory)
        log = directory / "log"
        for _ in range(5):
            port = free_port()
            with open(log, "wb") as out:
                process = await asyncio.create_subprocess_exec(*command(port, directory), stdin=asyncio.subprocess.DEVNULL,
                                                               stdout=out, stderr=out)
            try:
                while process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        proxy = Proxy(port, log, process)
                        yield proxy
                        if process.returncode is not None and not proxy.is_killed:
                            raise AssertionError(f"the proxy has ended with {process.returncode}: {log.read_text()[-400:]}")
                        return
                    await asyncio.sleep(0.05)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        raise AssertionError(f"the proxy does not start: {log.read_text(errors='replace')[-400:]}")


def found(program):
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    holds(path, f"there is no {program}")
    return path


def tinyproxy(*lines):
    def command(port, directory):
        config = directory / "tinyproxy.conf"
        config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50", "LogLevel Connect", *lines]))
        return [found("tinyproxy"), "-d", "-c", str(config)]
    return running(command)


def microsocks(*flags):
    def command(port, _):
        return [found("microsocks"), "-i", "127.0.0.1", "-p", str(port), *flags]
    return running(command)


@contextlib.asynccontextmanager
async def nobody():
    """A port where nobody listens, and nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def fails(programs, url, *flags, words, env=None):
    flags = [*flags, "--handshake-timeout", "3", *(TRUSTING if url.startswith("wss") else [])]
    ended = await programs.run("client", url, *flags, "--message", "bye", env=env)
    # A password is not for standard error.
    ended.complained(*words).in_one_sentence(*SECRETS)
    return ended.stderr.strip()


async def opens(programs, url, *flags, env=None):
    """Says bye to an echo server, is answered, and closes."""
    flags = [*flags, *(TRUSTING if url.startswith("wss") else [])]
    ended = await programs.run("client", url, *flags, "--message", "bye", env=env)
    equal(ended.clean().stdout, "bye\n")


@contextlib.asynccontextmanager
async def ours(programs, scheme):
    """Our echo server: gives its port and URL."""
    async with programs.echo(*(serving("server") if scheme == "wss" else [])) as port:
        yield port, f"{scheme}://localhost:{port}/"


async def through(checks, programs, peer, way, proxy, url):
    """What is the same by each way: our server and Node's, over ws and wss."""
    for scheme in ("ws", "wss"):

        async def to_ours():
            async with ours(programs, scheme) as (port, server):
                await opens(programs, server, "--proxy", url)
                await proxy.led_to(port)

        await checks.check(f"client -> {way} -> echo over {scheme}", to_ours)

        async def to_peer():
            tls = Tls(**shown("server")) if scheme == "wss" else None
            async with peer.serve(tls=tls) as server:
                flags = ["--proxy", url, *(TRUSTING if tls else [])]
                async with programs.client(f"{scheme}://localhost:{server.port}/", *flags, name="echo_client") as client:
                    link = await server.accept()
                    equal(link.headers["host"], f"localhost:{server.port}")
                    holds("proxy-authorization" not in link.headers, "the proxy's credentials went to the server")
                    for message in ("through", bytes(range(256)) * (MIB // 256), "w" * (4 * MIB), ""):
                        await (link.text if isinstance(message, str) else link.binary)(message)
                        equal(await link.recv(), message)
                    await link.ping(b"far away")
                    equal(await link.close(1000), (1000, ""))
                    (await client.finish()).clean()
                await proxy.led_to(server.port)

        await checks.check(f"client -> {way} -> {peer.name} over {scheme}: 4 MiB, ping, Close", to_peer)


async def forsaken(checks, programs, peer, way, start, scheme):
    """What becomes of a connection whose proxy stands still, or dies."""

    async def stands_still():
        async with start() as proxy, ours(programs, "ws") as (_, server):
            proxy.process.send_signal(signal.SIGSTOP)
            return await fails(programs, server, "--proxy", proxy.at(scheme), words=["timed out"])

    await checks.check(f"client -> {way} that stands still: the time is up", stands_still)

    async def dies(tls):
        async with start() as proxy, peer.serve(tls=tls) as server:
            flags = ["--proxy", proxy.at(scheme), "--message", "here", *(TRUSTING if tls else [])]
            async with programs.client(server.url.replace("127.0.0.1", "localhost"), *flags) as client:
                link = await server.accept()
                equal(await link.recv(), "here")
                await proxy.kill()
                ended = (await client.finish()).complained("cut off", "closing handshake", "reset").in_one_sentence()
                equal((await link.closed())[0], 1006)
                return ended.stderr.strip()

    for over, tls in (("ws", None), ("wss", Tls(**shown("server")))):
        await checks.check(f"client -> {way} that dies with a connection open, {over}", dies, tls)


async def refused(checks, programs, name, proxy_url, *words, target=None):
    """The same error over ws and wss."""
    for scheme in ("ws", "wss"):

        async def proof():
            if target:
                return await fails(programs, target.format(scheme), "--proxy", proxy_url, words=words)
            async with ours(programs, scheme) as (_, server):
                return await fails(programs, server, "--proxy", proxy_url, words=words)

        await checks.check(f"{name}, {scheme}", proof)


async def through_http_proxies(checks, programs, peer):
    checks.heading("Our client through tinyproxy, HTTP CONNECT")
    async with tinyproxy() as proxy, nobody() as closed:
        url = proxy.at("http")
        await through(checks, programs, peer, "tinyproxy", proxy, url)
        await refused(checks, programs, "client -> tinyproxy -> a closed port", url, "the proxy refused: 500",
                      target=f"{{}}://localhost:{closed}/")
        await refused(checks, programs, "client -> tinyproxy -> an unknown name", url, "the proxy refused: 500",
                      target="{}://nowhere.invalid:81/")
        # It waits for the end of a line, and SOCKS has none.
        await refused(checks, programs, "client -> tinyproxy as if it were SOCKS5", proxy.at("socks5"), "timed out",
                      "not socks5", "the proxy closed the connection")
        await refused(checks, programs, "client -> no proxy there", f"http://127.0.0.1:{closed}", "no address could be reached")
        await environment(checks, programs, proxy, closed)
    await forsaken(checks, programs, peer, "tinyproxy", tinyproxy, "http")

    async with tinyproxy(f"BasicAuth {USER} {PASSWORD}") as proxy:
        await through(checks, programs, peer, "tinyproxy with a password", proxy, proxy.at("http", ENCODED))
        await refused(checks, programs, "client -> tinyproxy, without the password it wants", proxy.at("http"), "407")
        await refused(checks, programs, "client -> tinyproxy, with a wrong password", proxy.at("http", f"{USER}:wrong-password"),
                      "the proxy refused: 401", "407")

    async with tinyproxy("ConnectPort 443") as proxy:
        await refused(checks, programs, "client -> tinyproxy, to a port that it refuses", proxy.at("http"), "the proxy refused: 403")


async def environment(checks, programs, proxy, closed):
    async def named(scheme, variable):
        async with ours(programs, scheme) as (port, server):
            await opens(programs, server, "--proxy-from-env", env={variable: proxy.at("http")})
            await proxy.led_to(port)

    for scheme, variable in (("ws", "http_proxy"), ("wss", "HTTPS_PROXY"), ("ws", "ALL_PROXY"), ("wss", "all_proxy")):
        await checks.check(f"{variable} names the proxy for {scheme}", named, scheme, variable)

    async def excepted(scheme, exception, is_excepted):
        # A proxy that is not there: who comes through has not asked it.
        async with ours(programs, scheme) as (port, server):
            env = {"ALL_PROXY": f"http://127.0.0.1:{closed}", "NO_PROXY": exception.format(port)}
            if is_excepted:
                await opens(programs, server, "--proxy-from-env", env=env)
            else:
                return await fails(programs, server, "--proxy-from-env", words=["no address could be reached"], env=env)

    for exception, is_excepted in (("localhost", True), ("elsewhere.example, localhost:{}", True), ("*", True),
                                   ("localhost:1", False), (".localhost", False), ("127.0.0.0/8", False)):
        for scheme in ("ws", "wss"):
            what = "an exception" if is_excepted else "none"
            await checks.check(f"NO_PROXY={exception.format('PORT')} is {what} for localhost over {scheme}", excepted, scheme, exception, is_excepted)

    async def not_asked():
        async with ours(programs, "ws") as (_, server):
            await opens(programs, server, env={"ALL_PROXY": f"http://127.0.0.1:{closed}"})

    await checks.check("the environment says nothing without --proxy-from-env", not_asked)

    async def wrong():
        return await fails(programs, "ws://localhost:1/", "--proxy-from-env", words=["all_proxy"], env={"ALL_PROXY": "ftp://ann:wrong-password@x"})

    await checks.check("a variable that is wrong is named, its password is not", wrong)


async def through_socks_proxies(checks, programs, peer):
    checks.heading("Our client through microsocks, SOCKS5")
    async with microsocks() as proxy, nobody() as closed:
        for scheme in ("socks5", "socks5h"):
            await through(checks, programs, peer, f"microsocks by {scheme}://", proxy, proxy.at(scheme))
        url = proxy.at("socks5")
        await refused(checks, programs, "client -> microsocks -> a closed port", url, "connection refused by the host",
                      target=f"{{}}://localhost:{closed}/")
        await refused(checks, programs, "client -> microsocks -> an unknown name", url, "general socks server failure",
                      "host unreachable", target="{}://nowhere.invalid:81/")
        await refused(checks, programs, "client -> microsocks as if it were an HTTP proxy", proxy.at("http"),
                      "the proxy closed the connection", "bad answer of the proxy")
    await forsaken(checks, programs, peer, "microsocks", microsocks, "socks5")

    async with microsocks("-u", USER, "-P", ODD_PASSWORD) as proxy:
        await through(checks, programs, peer, "microsocks with a password", proxy, proxy.at("socks5", ODD_ENCODED))
        await refused(checks, programs, "client -> microsocks, without the password it wants", proxy.at("socks5"),
                      "none of our methods of authentication")
        await refused(checks, programs, "client -> microsocks, with a wrong password", proxy.at("socks5", f"{USER}:wrong-password"),
                      "does not accept user and password")
