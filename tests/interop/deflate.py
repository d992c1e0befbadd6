"""permessage-deflate (RFC 7692) with peers that nobody here wrote: round trips, and what really went over the wire."""

import contextlib
import json
import random
import time
import zlib

from checks import equal, holds
from tap import Inflater, tapped

KIB, MIB = 1 << 10, 1 << 20
RANDOM = random.Random(7692)
# Shares of the bytes that may go over the wire: with the context of the messages before, and without.
IN_CONTEXT, ALONE = (0.05, 0.4), (0.41, 0.8)
# Random bytes do not shrink. zlib-rs has no stored blocks at its first level: there they grow by up to a sixteenth.
AS_THEY_ARE = (0.99, 1.0625)
NO_TAKEOVER = {"server_no_context_takeover": True, "client_no_context_takeover": True}
WORDS = ["".join(RANDOM.choice("etaoinshrdlucmfwyp") for _ in range(RANDOM.randrange(3, 10))) for _ in range(400)]


def json_of_1_kib(at):
    """One of many that an application sends: the same names each time, other values."""
    message = json.dumps({
        "type": "position", "sequence": at, "time": 1_700_000_000_000 + 37 * at,
        "vehicle": {"id": f"{RANDOM.getrandbits(64):016x}", "speed": RANDOM.randrange(130), "heading": RANDOM.randrange(360)},
        "readings": [{"sensor": sensor, "value": round(100 * RANDOM.random(), 4), "unit": unit, "ok": RANDOM.random() < 0.9}
                     for sensor, unit in (("temperature", "celsius"), ("pressure", "hectopascal"), ("humidity", "percent"),
                                          ("voltage", "volt"), ("vibration", "metre per second squared"))],
        "note": "",
    })
    note = " ".join(RANDOM.choice(WORDS) for _ in range(KIB // 4))
    return message[:-2] + note[:KIB - len(message)] + message[-2:]


def far_repeats(size):
    """Text that repeats itself at every distance: a compressor uses all the window that it has."""
    phrases = [RANDOM.randbytes(60).hex() for _ in range(size // 1200 + 2)]
    text = ""
    while len(text) < size:
        text += RANDOM.choice(phrases)
    return text[:size]


JSON = [json_of_1_kib(at) for at in range(500)]
NOISE = [RANDOM.randbytes(size) for size in (0, 1, 2, 125, 126, 127, 1000, 65_535, 65_536, 70_000, MIB)]
EDGES = ["", "é", "", "a" * 125, "b" * 126, "", "c" * 70_000, "d" * MIB, "last"]
FAR = [far_repeats(size) for size in (100, 5_000, 80_000, 40_000)]


def big_text():
    return "".join(RANDOM.choice(JSON) for _ in range(16 * KIB))


async def round_trips(link, messages, at_a_time):
    """Sends messages, some at a time, and holds each to its echo. Answers with the seconds that it took."""
    began = time.monotonic()
    for start in range(0, len(messages), at_a_time):
        batch = messages[start:start + at_a_time]
        for message in batch:
            await (link.text if isinstance(message, str) else link.binary)(message)
        for message in batch:
            equal(await link.recv(), message)
    return time.monotonic() - began


@contextlib.asynccontextmanager
async def linked(programs, peer, role, flags, deflate):
    """Our server or client and the peer, with a tap between them: gives the tap and the peer's end."""
    flags = ("--deflate", "--deflate-threshold", "0", *flags)
    if role == "server":
        async with programs.echo(*flags) as port, tapped(port) as (tap, tap_port), \
                peer.open(f"ws://127.0.0.1:{tap_port}/", deflate=deflate) as link:
            yield tap, link
            equal(await link.close(1000), (1000, ""))
    else:
        async with peer.serve(deflate=deflate) as server, tapped(server.port) as (tap, tap_port), \
                programs.client(f"ws://127.0.0.1:{tap_port}/", *flags, name="echo_client") as client:
            link = await server.accept()
            yield tap, link
            await link.close(1000)
            (await client.finish()).clean()


def has_agreed(tap, wanted):
    """What was agreed on has these parameters; those with None are not in it."""
    agreed = tap.agreed()
    for name, value in wanted.items():
        equal(agreed.get(name, "absent"), {None: "absent", True: None}.get(value, str(value)), name)


async def round_trips_with(checks, programs, peer):
    """All checks with one peer, in both roles."""
    for role in ("server", "client"):
        checks.heading(f"permessage-deflate: our {role}, {peer.name}")

        async def talk(messages, flags=(), deflate=None, agreed=None, share=(0.0, 1.0), strictly=False, at_a_time=50,
                       role=role):
            """Round trips, and then what the wire says: both sides compressed, and ours within what was agreed on."""
            messages = messages() if callable(messages) else messages
            async with linked(programs, peer, role, flags, deflate or {}) as (tap, link):
                seconds = await round_trips(link, messages, at_a_time)
                has_agreed(tap, agreed or {})
                theirs = "client" if role == "server" else "server"
                for side in (role, theirs):
                    said, compressed = tap.messages(side, strictly and side == role)
                    equal(said, messages, f"what the {side} said")
                    # A message that would only grow may go as it is.
                    least = sum(isinstance(message, str) and len(message) > 100 for message in messages)
                    holds(side == theirs or compressed >= least,
                          f"{compressed} of {len(messages)} messages were compressed")
                size = sum(len(message.encode() if isinstance(message, str) else message) for message in messages)
                sent, came = tap.payload_bytes(role), tap.payload_bytes(theirs)
                holds(share[0] <= sent / size <= share[1],
                      f"{sent:,} bytes for {size:,}, a share of {sent / size:.3f}, wanted {share}")
                return (f"{len(messages)} x {size // len(messages):,} bytes, {came / size:.1%} of them to us, "
                        f"{sent / size:.1%} back, {seconds:.2f} s")

        async def check(name, *args, role=role, **kwargs):
            await checks.check(f"deflate, our {role}, {peer.name}: {name}", lambda: talk(*args, **kwargs))

        takeover = dict.fromkeys(NO_TAKEOVER)
        await check("1 KiB of JSON", JSON, agreed=takeover, share=IN_CONTEXT)
        await check("1 KiB of JSON, no context takeover: our wish", JSON, ["--no-context-takeover"], agreed=NO_TAKEOVER,
                    share=ALONE)
        await check("1 KiB of JSON, no context takeover: the peer's wish", JSON, deflate=NO_TAKEOVER, agreed=NO_TAKEOVER,
                    share=ALONE)
        for side in ("server", "client"):
            wish = {f"{side}_no_context_takeover": True}
            ours = ALONE if side == role else IN_CONTEXT
            await check(f"1 KiB of JSON, none for the {side} alone", JSON, deflate=wish, agreed=takeover | wish, share=ours)
        await check("empty, short and long texts", EDGES, share=(0.0, 0.02))
        await check("empty, short and long texts, no context takeover", EDGES, ["--no-context-takeover"], share=(0.0, 0.02))
        await check("random bytes", NOISE, share=AS_THEY_ARE)
        await check("random bytes, no context takeover", NOISE, ["--no-context-takeover"], share=AS_THEY_ARE)
        await check("16 MiB of JSON", lambda: [big_text()], share=IN_CONTEXT)
        await check("16 MiB of random bytes", lambda: [RANDOM.randbytes(16 * MIB)], share=AS_THEY_ARE)
        for level in (0, 1, 9):
            await check(f"level {level}", FAR + JSON[:50], ["--deflate-level", str(level)],
                        share=(0.99, 1.05) if level == 0 else (0.0, 0.5))
        for bits in range(9, 16):
            other = 24 - bits
            windows = {"server_max_window_bits": bits, "client_max_window_bits": other}
            await check(f"windows of {bits} and {other} bits, by the peer", FAR, deflate=windows, strictly=True,
                        agreed={"server_max_window_bits": bits})
            flags = [f"--{name.replace('_', '-')}={value}" for name, value in windows.items()]
            agreed = {name: value if value < 15 else None for name, value in windows.items()}
            await check(f"windows of {bits} and {other} bits, by us", FAR, flags, strictly=True, agreed=agreed)


async def the_tap_itself(checks, _):
    """What the checks above lean on: a window that is larger than agreed on is seen."""
    checks.heading("The tap")

    async def too_large():
        for bits in range(9, 15):
            compressor = zlib.compressobj(6, zlib.DEFLATED, -(bits + 1))
            data = compressor.compress(FAR[2].encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
            equal(Inflater(bits + 1, True).inflate(data).decode(), FAR[2])
            try:
                Inflater(bits, True).inflate(data)
            except zlib.error:
                continue
            holds(False, f"a window of {bits + 1} bits passed for one of {bits}")

    await checks.check("deflate: a window that is larger than agreed on is seen", too_large)
