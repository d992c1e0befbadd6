"""Raw sockets and permessage-deflate (RFC 7692): what is answered to offers, what no decent library sends, and bombs."""

import asyncio
import contextlib
import functools
import pathlib
import zlib

from checks import equal, holds
from raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, request, wire_to
from raw_against_client import response, serving

MIB = 1 << 20
GROWTH = 2 * MIB
RSV1, RSV2, RSV3 = 4, 2, 1
TAIL = b"\x00\x00\xff\xff"
ON = ("--deflate", "--deflate-threshold", "0")

# What a client offers, and the answer: None declines.
OFFERS = [
    ("permessage-deflate", "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
    ("permessage-deflate; server_max_window_bits=10; client_max_window_bits=9", "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"),
    ("permessage-deflate; server_max_window_bits=8", None),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
    ("permessage-deflate; unknown, permessage-deflate", "permessage-deflate"),
    ("permessage-deflate; server_max_window_bits=16", None),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
    ("x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
    ("x-webkit-deflate-frame", None),
]

# What a server answers to the bare offer of our client, and must not have answered.
BROKEN_ANSWERS = [
    "permessage-deflate; unknown",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate, permessage-deflate",
    "permessage-bzip2",
]


def deflated(payload, bits=15):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def frames_that_break(mask):
    """What is wrong, its bytes, and the close code that must come back."""
    hello = deflated(b"hello")
    return [
        ("RSV1 on a ping", frame(PING, b"x", rsv=RSV1, mask=mask), 1002),
        ("RSV1 on a continuation", frame(TEXT, hello[:3], fin=False, rsv=RSV1, mask=mask) + frame(CONTINUATION, hello[3:], rsv=RSV1, mask=mask), 1002),
        ("RSV1 on a continuation only", frame(TEXT, b"a", fin=False, mask=mask) + frame(CONTINUATION, hello, rsv=RSV1, mask=mask), 1002),
        ("RSV2", frame(TEXT, hello, rsv=RSV1 | RSV2, mask=mask), 1002),
        ("RSV3", frame(TEXT, hello, rsv=RSV1 | RSV3, mask=mask), 1002),
        ("data that is not deflated", frame(BINARY, b"\x07" * 20, rsv=RSV1, mask=mask), 1007),
        ("text that inflates to what is not UTF-8", frame(TEXT, deflated(b"valid, then \xff"), rsv=RSV1, mask=mask), 1007),
        ("the same, in a message that is not finished", frame(TEXT, deflated(b"valid, then \xff" + b"." * 999) + TAIL, fin=False, rsv=RSV1, mask=mask), 1007),
    ]


@functools.cache
def bomb():
    """512 MiB of zeros, deflated: about half a MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(compressor.compress(bytes(MIB)) for _ in range(512))
    return (data + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


class Memory:
    """The resident memory of a process, and how far it has peaked above what it was."""

    def __init__(self, pid):
        self.process = pathlib.Path(f"/proc/{pid}")
        self.before = self.read("VmRSS")
        # The peak begins anew: what the start of the program took is not counted.
        (self.process / "clear_refs").write_text("5")

    def read(self, name):
        lines = (self.process / "status").read_text().splitlines()
        line = next((line for line in lines if line.startswith(name + ":")), None)
        if line is None:
            raise FileNotFoundError(f"{self.process} has ended")
        return 1024 * int(line.split()[1])

    def stayed(self):
        grown = self.read("VmHWM") - self.before
        holds(grown < GROWTH, f"resident memory grew by {grown:,} bytes")
        return f"resident memory grew by {grown / MIB:.2f} MiB"


@contextlib.asynccontextmanager
async def opened(port, offer="permessage-deflate"):
    async with wire_to(port) as wire:
        await wire.send(request(Sec_WebSocket_Extensions=offer))
        line, headers = await wire.head()
        holds(line.startswith("HTTP/1.1 101 "), line)
        wire.agreed = ", ".join(headers.get("sec-websocket-extensions", [])) or None
        yield wire


async def echoed(wire, payload, mask=True):
    """One compressed message there and back."""
    await wire.send(frame(BINARY, deflated(payload), rsv=RSV1, mask=mask))
    reserved, fin, opcode, _, data, _ = await wire.any_frame()
    equal((reserved, fin, opcode), (RSV1, 1, BINARY))
    equal(zlib.decompressobj(-15).decompress(data + TAIL), payload)


async def raw_deflate(checks, programs):
    checks.heading("permessage-deflate: raw sockets, our echo server")

    async def check(name, proof, *args):
        await checks.check(f"deflate, raw: {name}", proof, *args)

    async with programs.echo(*ON) as port:
        async def answers(offer, answer):
            async with opened(port, offer) as wire:
                equal(wire.agreed, answer)
                if answer is None:
                    await wire.send(frame(TEXT, b"plain"))
                    equal((await wire.frame())[3], b"plain")
                    await wire.send(frame(TEXT, deflated(b"x"), rsv=RSV1))
                    await wire.closed_with(1002)

        for offer, answer in OFFERS:
            await check(f"the offer {offer} -> {answer}", answers, offer, answer)

        async def breaks(sent, code):
            async with opened(port) as wire:
                await wire.send(sent)
                await wire.closed_with(code)

        for name, sent, code in frames_that_break(mask=True):
            await check(f"{name} -> {code}", breaks, sent, code)

        async def plain_between():
            async with opened(port) as wire:
                await echoed(wire, b"one" * 100)
                await wire.send(frame(TEXT, b"not compressed"))
                _, fin, opcode, _, data, _ = await wire.any_frame()
                equal((fin, opcode), (1, TEXT))
                await wire.send(frame(BINARY, b"", fin=False) + frame(PING, b"between") + frame(CONTINUATION, b"plain"))
                while (got := await wire.any_frame())[2] != BINARY:
                    pass
                await wire.send(frame(CLOSE))
                await wire.closed_with(1005)

        await check("a message that is not compressed is taken between others", plain_between)

    checks.heading("permessage-deflate: our client, raw sockets as the server")

    async def broken_answer(answer):
        async def answers(wire):
            _, headers = await wire.head()
            holds("permessage-deflate" in headers["sec-websocket-extensions"][0], headers)
            with contextlib.suppress(ConnectionError):
                await wire.send(response(headers, extra=[f"Sec-WebSocket-Extensions: {answer}"]))
                await wire.ends()

        async with serving(answers) as (port, done), \
                programs.client(f"ws://127.0.0.1:{port}/", *ON, name="echo_client") as client:
            await done()
            (await client.finish()).complained("extension", "permessage")

    for answer in BROKEN_ANSWERS:
        await check(f"the answer {answer} is a failure", broken_answer, answer)

    async def breaks_client(sent, code):
        async def answers(wire):
            await accept(wire)
            await wire.send(sent)
            await wire.closed_with(code)

        async with serving(answers) as (port, done), \
                programs.client(f"ws://127.0.0.1:{port}/", *ON, name="echo_client") as client:
            await done()
            (await client.finish()).complained(code)

    for name, sent, code in frames_that_break(mask=False):
        await check(f"{name}, to our client -> {code}", breaks_client, sent, code)

    await bombs(checks, programs)


async def accept(wire):
    _, headers = await wire.head()
    await wire.send(response(headers, extra=["Sec-WebSocket-Extensions: permessage-deflate"]))


async def bombs(checks, programs):
    """512 MiB in about half a MiB, against a limit of 1 MiB."""
    checks.heading("Bombs of 512 MiB")
    limit = (*ON, "--max-message-size", str(MIB))

    async def against_server(opcode, fragments):
        data = bomb()
        size = len(data) // fragments + 1
        pieces = [data[at:at + size] for at in range(0, len(data), size)]
        sent = b"".join(frame(CONTINUATION if at else opcode, piece, rsv=0 if at else RSV1, fin=at == len(pieces) - 1)
                        for at, piece in enumerate(pieces))
        async with programs.server(*limit) as (port, pid):
            async with opened(port) as wire:
                await echoed(wire, bytes(1000))
            memory = Memory(pid)
            async with opened(port) as wire:
                # It need not read to the end, and may be gone before we have written all.
                with contextlib.suppress(ConnectionError):
                    await wire.send(sent)
                await wire.closed_with(1009)
            told = memory.stayed()
            async with opened(port) as wire:
                await echoed(wire, b"still here")
            return f"{len(data):,} bytes, {told}"

    await checks.check("deflate, bomb in one frame -> 1009", against_server, BINARY, 1)
    await checks.check("deflate, bomb of text in one frame -> 1009", against_server, TEXT, 1)
    await checks.check("deflate, bomb in 1,000 fragments -> 1009", against_server, BINARY, 1000)

    async def against_client():
        data = bomb()
        client = None

        async def answers(wire):
            await accept(wire)
            await echoed(wire, bytes(1000), mask=False)
            memory = Memory(client.process.pid)
            with contextlib.suppress(ConnectionError):
                await wire.send(frame(BINARY, data, rsv=RSV1, mask=False))
            _, opcode, _, payload, _ = await wire.frame()
            equal((opcode, payload[:2]), (CLOSE, (1009).to_bytes(2, "big")))
            return memory.stayed()  # before it has seen our end of the stream, and is gone

        # It ends when its Close has left, at times before it could be looked at: then it is asked again.
        for left in reversed(range(20)):
            async with serving(answers) as (port, done), \
                    programs.client(f"ws://127.0.0.1:{port}/", *limit, name="echo_client") as client:
                try:
                    told = await done()
                except FileNotFoundError:
                    if left:
                        continue
                    raise
                (await client.finish()).complained(1009)
                return told

    await checks.check("deflate, bomb in one frame, to our client -> 1009", against_client)

    async def at_the_limit(size, fits):
        async with programs.echo(*limit) as port, opened(port) as wire:
            await wire.send(frame(BINARY, deflated(bytes(size)), rsv=RSV1))
            if not fits:
                return await wire.closed_with(1009)
            reserved, _, _, _, payload, _ = await wire.any_frame()
            equal(reserved, RSV1)
            equal(len(zlib.decompressobj(-15).decompress(payload + TAIL)), size)

    await checks.check("deflate: a message that inflates to the limit", at_the_limit, MIB, True)
    await checks.check("deflate: a message that inflates to one byte more -> 1009", at_the_limit, MIB + 1, False)

    async def streamed():
        data = bomb()
        async with programs.server(*ON, "--streaming") as (port, pid):
            async with opened(port) as wire:
                await echoed_in_parts(wire, bytes(1000))
            memory = Memory(pid)
            async with opened(port) as wire:
                writing = asyncio.create_task(wire.send(frame(BINARY, data, rsv=RSV1)))
                equal(await zeros(wire), 512 * MIB)
                await writing
            return memory.stayed()

    await checks.check("deflate, streaming: 512 MiB pass through in constant memory", streamed)


async def echoed_in_parts(wire, payload):
    await wire.send(frame(BINARY, deflated(payload), rsv=RSV1))
    equal(await zeros(wire), len(payload))


async def zeros(wire):
    """Inflates one message of zeros, however many there are, and counts them."""
    inflater, count, fin = zlib.decompressobj(-15), 0, False
    while not fin:
        _, fin, _, _, payload, _ = await wire.any_frame()
        payload += TAIL if fin else b""
        while payload:
            piece = inflater.decompress(payload, MIB)
            holds(not piece.strip(b"\x00"), "something else than zeros")
            count += len(piece)
            payload = inflater.unconsumed_tail
    return count
