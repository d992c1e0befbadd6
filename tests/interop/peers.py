"""Two peers behind one face: Python's websockets, and Node's ws in a process of its own (peer.mjs).

A link is one open WebSocket: `text`, `binary`, `pieces` and `ping` send, `recv` gives the next message, `close` starts the
closing handshake, `closed` waits for its end. The last two give the code and the reason that the other side sent, 1005 for
an empty Close and 1006 for none.

`tls`, where it is given, is what a peer shows and whom it trusts; then its URLs are wss://localhost.

`deflate`, where it is given, holds the parameters of permessage-deflate that the peer asks for by their names in RFC 7692;
then it compresses every message. Without it a peer offers or declines what it does by default, and compresses nothing.
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
import ssl

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory


class Refused(Exception):
    """The opening handshake failed; `status` is the HTTP status, if there was an answer."""

    def __init__(self, status, why):
        super().__init__(f"{status}: {why}")
        self.status = status


@dataclasses.dataclass
class Tls:
    """Files in PEM, and the one version to speak: "1.2", "1.3", or none of both. A server with a `ca` requires certificates."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    version: str | None = None

    def context(self, purpose):
        context = ssl.create_default_context(purpose, cafile=self.ca)
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        if self.version:
            only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[self.version]
            context.minimum_version = context.maximum_version = only
        return context

    def client(self):
        return self.context(ssl.Purpose.SERVER_AUTH)

    def server(self):
        context = self.context(ssl.Purpose.CLIENT_AUTH)
        if self.ca:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class PythonLink:
    def __init__(self, socket):
        self.socket = socket
        over_tls = socket.transport.get_extra_info("ssl_object")
        self.tls_version = over_tls and over_tls.version()
        self.subprotocol = socket.subprotocol
        self.extensions = ", ".join(extension.name for extension in socket.protocol.extensions)
        self.headers = dict(socket.request.headers.raw_items())

    async def recv(self):
        return await self.socket.recv()

    async def text(self, text):
        await self.socket.send(text)

    async def raw_text(self, payload):
        await self.socket.send(payload, text=True)

    async def binary(self, payload):
        await self.socket.send(payload)

    async def pieces(self, pieces, text):
        await self.socket.send(iter(pieces), text=text)

    async def ping(self, payload):
        await (await self.socket.ping(payload))

    async def close(self, code, reason=""):
        await self.socket.close(code, reason)
        return await self.closed()

    async def closed(self):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        return self.socket.close_code, self.socket.close_reason

    async def drop(self):
        self.socket.transport.abort()


def url_of(port, tls):
    return f"wss://localhost:{port}/" if tls else f"ws://127.0.0.1:{port}/"


class PythonServer:
    def __init__(self):
        self.links = asyncio.Queue()

    async def handle(self, socket):
        await self.links.put(PythonLink(socket))
        await socket.wait_closed()

    async def accept(self):
        return await self.links.get()


class PythonPeer:
    name = f"Python websockets {websockets.__version__}"
    rejects_missing_subprotocol = False

    @contextlib.asynccontextmanager
    async def open(self, url, subprotocols=None, origin=None, deflate=None, tls=None):
        compression = {} if deflate is None else dict(
            compression=None, extensions=[ClientPerMessageDeflateFactory(**deflate)])
        try:
            socket = await connect(url, subprotocols=subprotocols, origin=origin, max_size=None, ping_interval=None,
                                   close_timeout=5, proxy=None, ssl=tls and tls.client(), **compression)
        except InvalidStatus as error:
            raise Refused(error.response.status_code, error) from error
        except (InvalidHandshake, OSError) as error:
            raise Refused(None, f"{error}, for {error.__cause__ or error.__context__}") from error
        try:
            yield PythonLink(socket)
        finally:
            socket.transport.abort()

    @contextlib.asynccontextmanager
    async def serve(self, subprotocol=None, refuse=None, deflate=None, tls=None):
        server = PythonServer()
        compression = {} if deflate is None else dict(
            compression=None, extensions=[ServerPerMessageDeflateFactory(**deflate)])
        refusal = (lambda connection, _: connection.respond(refuse, "Not here.\n")) if refuse else None
        async with serve(server.handle, "127.0.0.1", 0, process_request=refusal, max_size=None, ping_interval=None,
                         subprotocols=[subprotocol] if subprotocol else None, close_timeout=5,
                         ssl=tls and tls.server(), **compression) as listener:
            server.port = listener.sockets[0].getsockname()[1]
            server.url = url_of(server.port, tls)
            yield server


class NodeLink:
    def __init__(self, peer, number, opened, compress):
        self.peer = peer
        self.number = number
        self.compress = compress
        self.subprotocol = opened["subprotocol"] or None
        self.extensions = opened["extensions"]
        self.headers = opened["headers"]
        self.tls_version = opened["tlsVersion"]
        self.messages = asyncio.Queue()
        self.pongs = asyncio.Queue()
        self.end = asyncio.get_running_loop().create_future()

    async def recv(self):
        return await self.messages.get()

    async def send(self, payload, binary, fin=True):
        await self.peer.ask("send", link=self.number, data=base64.b64encode(payload).decode(), binary=binary, fin=fin,
                            compress=self.compress)

    async def text(self, text):
        await self.send(text.encode(), binary=False)

    async def raw_text(self, payload):
        await self.send(payload, binary=False)

    async def binary(self, payload):
        await self.send(payload, binary=True)

    async def pieces(self, pieces, text):
        for at, piece in enumerate(pieces):
            await self.send(piece, binary=not text, fin=at == len(pieces) - 1)

    async def ping(self, payload):
        await self.peer.ask("ping", link=self.number, data=base64.b64encode(payload).decode())
        seen = await self.pongs.get()
        if seen != payload:
            raise AssertionError(f"a pong of {seen!r} for a ping of {payload!r}")

    async def close(self, code, reason=""):
        await self.peer.ask("close", link=self.number, code=code, reason=reason)
        return await self.closed()

    async def closed(self):
        return await asyncio.shield(self.end)

    async def drop(self):
        await self.peer.ask("drop", link=self.number)


class NodeServer:
    def __init__(self, peer):
        self.peer = peer
        self.links = asyncio.Queue()

    async def accept(self):
        return await self.links.get()


class NodePeer:
    rejects_missing_subprotocol = True

    def __init__(self, script):
        self.script = script
        self.answers, self.links, self.servers = {}, {}, {}
        self.asked = 0

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            "node", self.script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**27)
        self.reader = asyncio.create_task(self.read())
        self.name = f"Node ws {(await self.ask('version'))['version']}"
        return self

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()
        await self.reader

    async def ask(self, operation, **fields):
        self.asked += 1
        answer = self.answers[self.asked] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps({"ask": self.asked, "operation": operation, **fields}).encode() + b"\n")
        await self.process.stdin.drain()
        return await answer

    async def read(self):
        async for line in self.process.stdout:
            told = json.loads(line)
            if "ask" in told:
                answer = self.answers.pop(told["ask"])
                if "opened" in told:
                    self.links[told["link"]] = NodeLink(self, told["link"], told["opened"], told["compress"])
                if answer.cancelled():
                    continue
                if "error" in told:
                    answer.set_exception(Refused(told.get("status"), told["error"]))
                else:
                    answer.set_result(told)
            elif told["event"] == "accepted":
                link = self.links[told["link"]] = NodeLink(self, told["link"], told["opened"], told["compress"])
                self.servers[told["server"]].links.put_nowait(link)
            else:
                self.told(self.links[told["link"]], told)
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(RuntimeError("the Node peer ended"))

    def told(self, link, told):
        data = base64.b64decode(told.get("data", ""))
        if told["event"] == "message":
            link.messages.put_nowait(data if told["binary"] else data.decode())
        elif told["event"] == "pong":
            link.pongs.put_nowait(data)
        elif told["event"] == "close":
            link.end.set_result((told["code"], told["reason"]))

    @contextlib.asynccontextmanager
    async def open(self, url, subprotocols=None, origin=None, deflate=None, tls=None):
        opened = await self.ask("open", url=url, subprotocols=subprotocols or [], origin=origin, deflate=deflate,
                                tls=tls and dataclasses.asdict(tls))
        link = self.links[opened["link"]]
        try:
            yield link
        finally:
            await link.drop()

    @contextlib.asynccontextmanager
    async def serve(self, subprotocol=None, refuse=None, deflate=None, tls=None):
        server = NodeServer(self)
        told = await self.ask("serve", subprotocol=subprotocol, refuse=refuse, deflate=deflate,
                              tls=tls and dataclasses.asdict(tls))
        self.servers[told["server"]] = server
        server.port = told["port"]
        server.url = url_of(server.port, tls)
        try:
            yield server
        finally:
            await self.ask("unserve", server=told["server"])
