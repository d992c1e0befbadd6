"""Two peers behind one face: Python's websockets, and Node's ws in a process of its own (peer.mjs).

A link is one open WebSocket: `text`, `binary`, `pieces` and `ping` send, `recv` gives the next message, `close` starts the
closing handshake, `closed` waits for its end. The last two give the code and the reason that the other side sent, 1005 for
an empty Close and 1006 for none.

`deflate`, where it is given, holds the parameters of permessage-deflate that the peer asks for by their names in RFC 7692;
then it compresses every message. Without it a peer offers or declines what it does by default, and compresses nothing.
"""

import asyncio
import base64
import contextlib
import json

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


class PythonLink:
    def __init__(self, socket):
        self.socket = socket
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
    async def open(self, url, subprotocols=None, origin=None, deflate=None):
        compression = {} if deflate is None else dict(
            compression=None, extensions=[ClientPerMessageDeflateFactory(**deflate)])
        try:
            socket = await connect(url, subprotocols=subprotocols, origin=origin, max_size=None, ping_interval=None,
                                   close_timeout=5, proxy=None, **compression)
        except InvalidStatus as error:
            raise Refused(error.response.status_code, error) from error
        except InvalidHandshake as error:
            raise Refused(None, error) from error
        try:
            yield PythonLink(socket)
        finally:
            socket.transport.abort()

    @contextlib.asynccontextmanager
    async def serve(self, subprotocol=None, refuse=None, deflate=None):
        server = PythonServer()
        compression = {} if deflate is None else dict(
            compression=None, extensions=[ServerPerMessageDeflateFactory(**deflate)])
        refusal = (lambda connection, _: connection.respond(refuse, "Not here.\n")) if refuse else None
        async with serve(server.handle, "127.0.0.1", 0, process_request=refusal, max_size=None, ping_interval=None,
                         subprotocols=[subprotocol] if subprotocol else None, close_timeout=5, **compression) as listener:
            server.port = listener.sockets[0].getsockname()[1]
            server.url = f"ws://127.0.0.1:{server.port}/"
            yield server


class NodeLink:
    def __init__(self, peer, number, opened, compress):
        self.peer = peer
        self.number = number
        self.compress = compress
        self.subprotocol = opened["subprotocol"] or None
        self.extensions = opened["extensions"]
        self.headers = opened["headers"]
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
            "node", self.script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26)
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
    async def open(self, url, subprotocols=None, origin=None, deflate=None):
        opened = await self.ask("open", url=url, subprotocols=subprotocols or [], origin=origin, deflate=deflate)
        link = self.links[opened["link"]]
        try:
            yield link
        finally:
            await link.drop()

    @contextlib.asynccontextmanager
    async def serve(self, subprotocol=None, refuse=None, deflate=None):
        server = NodeServer(self)
        told = await self.ask("serve", subprotocol=subprotocol, refuse=refuse, deflate=deflate)
        self.servers[told["server"]] = server
        server.port = told["port"]
        server.url = f"ws://127.0.0.1:{server.port}/"
        try:
            yield server
        finally:
            await self.ask("unserve", server=told["server"])
