"""What is run, and on whom."""
from dataclasses import dataclass, field

RAW = "raw-tcp"
UWS = "uwebsockets"
WIREROOM = "wireroom"
SIMD = "wireroom+simdutf8"


@dataclass(frozen=True)
class Scenario:
    name: str  # for the command line
    title: str
    mode: str  # what the server is for
    arguments: str  # of the load generator
    goal: tuple = ()  # the peer, and at least how many times its figure
    kind: str = "throughput"  # or latency, or memory


SCENARIOS = [
    Scenario("echo-125", "echo 125 B, 64 connections, one in flight", "echo",
             "echo --connections 64 --size 125", (RAW, 0.98)),
    Scenario("echo-32-text-16", "echo 32 B text, 64 connections, 16 in flight", "echo",
             "echo --connections 64 --size 32 --depth 16 --content mixed", (UWS, 1.05)),
    Scenario("echo-125-2000", "echo 125 B, 2,000 connections", "echo",
             "echo --connections 2000 --size 125", (RAW, 0.99)),
    Scenario("echo-1k-text", "echo 1 KiB non-ASCII text, 64 connections, one in flight", "echo",
             "echo --connections 64 --size 1024 --content mixed", (RAW, 0.97)),
    Scenario("echo-1k-text-16", "echo 1 KiB non-ASCII text, 16 connections, 16 in flight", "echo",
             "echo --connections 16 --size 1024 --depth 16 --content mixed", (RAW, 0.78)),
    Scenario("echo-16k", "echo 16 KiB binary, 16 connections", "echo",
             "echo --connections 16 --size 16384", (RAW, 0.99)),
    Scenario("echo-1m", "echo 1 MiB binary, 4 connections", "echo",
             "echo --connections 4 --size 1048576", (RAW, 0.97)),
    Scenario("echo-1m-fragments", "echo 1 MiB non-ASCII text in 16 KiB fragments, 4 connections", "echo",
             "echo --connections 4 --size 1048576 --fragment 16384 --content mixed", (RAW, 0.72)),
    Scenario("echo-16m", "echo 16 MiB binary, 2 connections", "echo",
             "echo --connections 2 --size 16777216", (RAW, 0.75)),
    Scenario("broadcast-128-100", "broadcast 128 B to 100", "broadcast",
             "broadcast --connections 100 --size 128 --depth 4 --content ascii", (RAW, 1.20)),
    Scenario("broadcast-128-2000", "broadcast 128 B to 2,000", "broadcast",
             "broadcast --connections 2000 --size 128 --depth 2 --content ascii", (RAW, 1.05)),
    Scenario("broadcast-16k-100", "broadcast 16 KiB to 100", "broadcast",
             "broadcast --connections 100 --size 16384 --depth 2 --content ascii", (RAW, 0.97)),
    Scenario("churn", "connect, upgrade, one message, close; 32 at a time", "echo",
             "churn --connections 32", (RAW, 1.03)),
    Scenario("deflate", "permessage-deflate, 1 KiB JSON, no context takeover", "deflate-no-takeover",
             "echo --connections 16 --size 1024 --depth 4 --content json --deflate no-takeover", (UWS, 1.15)),
    Scenario("deflate-takeover", "permessage-deflate, 1 KiB JSON, context takeover", "deflate-takeover",
             "echo --connections 16 --size 1024 --depth 4 --content json --deflate takeover", (UWS, 1.40)),
    Scenario("latency", "latency at 20,000 messages a second, 125 B, 64 connections", "echo",
             "rate --connections 64 --size 125 --rate 20000", kind="latency"),
    Scenario("idle", "memory of 10,000 idle connections", "echo",
             "idle --connections 10000 --touch 16384", kind="memory"),
]
QUICK = {"--rounds": 1, "--seconds": 0.4}


@dataclass(frozen=True)
class Peer:
    name: str
    package: str = ""  # of this workspace; without one it is not built here
    features: tuple = ()
    command: tuple = ("{binary}", "{port}", "{mode}")
    crates: tuple = ()  # whose versions are told
    modes: tuple = ("echo", "broadcast")
    options: dict = field(default_factory=dict, hash=False)  # more words of the command, by mode
    path: dict = field(default_factory=dict, hash=False)  # of the request, by mode
    raw: bool = False


EVERY_MODE = ("echo", "broadcast", "deflate-no-takeover", "deflate-takeover")


def ours(name, *features, level=6, modes=EVERY_MODE):
    deflate = ("--deflate", "--deflate-level", str(level))
    return Peer(
        name, "server-wireroom", features,
        ("{binary}", "--listen", "127.0.0.1:{port}", "--max-message-size", str(64 << 20)),
        modes=modes, path={"broadcast": "/broadcast"},
        options={"deflate-no-takeover": (*deflate, "--no-context-takeover"), "deflate-takeover": deflate})


PEERS = [
    Peer(RAW, "rawtcp", raw=True),
    ours(WIREROOM),
    ours(SIMD, "simdutf8"),
    # Compression at the level that is our default; all others are at zlib's, 6.
    ours("wireroom-level-1", level=1, modes=EVERY_MODE[2:]),
    Peer(UWS, "server-uwebsockets", crates=("libuwebsockets-sys",), modes=EVERY_MODE),
    Peer("tokio-tungstenite", "server-tokio-tungstenite", crates=("tokio-tungstenite",)),
    Peer("tokio-websockets", "server-tokio-websockets", crates=("tokio-websockets",)),
    Peer("fastwebsockets", "server-fastwebsockets", crates=("fastwebsockets",)),
    Peer("sockudo-ws", "server-sockudo-ws", crates=("sockudo-ws",), modes=EVERY_MODE),
    Peer("yawc", "server-yawc", crates=("yawc",), modes=EVERY_MODE),
    # soketto knows no context takeover.
    Peer("soketto", "server-soketto", crates=("soketto",), modes=EVERY_MODE[:3]),
    Peer("web-socket", "server-web-socket", crates=("web-socket",)),
    Peer("node-ws", command=("node", "{here}/servers/node-ws/server.js", "{port}", "{mode}"), modes=EVERY_MODE),
]
