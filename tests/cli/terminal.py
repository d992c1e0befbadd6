#!/usr/bin/env python3
"""`wireroom connect` in a real pseudo-terminal. Usage: terminal.py PROGRAM SCENARIO; prints `ok`, or what was on the screen.

Only the standard library. Each wait has a limit of ten seconds."""

import base64
import hashlib
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

LIMIT = 10
PROGRAM = sys.argv[1]


class Server:
    """A WebSocket server of one connection, written by hand: what it is told to send, it sends."""

    def __init__(self, greeting=b"", deaf=False):
        self.deaf = deaf
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT)
        self.url = "ws://127.0.0.1:%d/" % self.listener.getsockname()[1]
        self.greeting = greeting
        self.received = []
        self.stream = None
        self.open = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        self.stream, _ = self.listener.accept()
        self.stream.settimeout(LIMIT)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.stream.recv(4096)
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head).group(1)
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.stream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.greeting
        )
        self.open.set()
        try:
            while True:
                self.frame()
        except (OSError, EOFError):
            self.stream.close()

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.stream.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        first, second = self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.exactly(2))
        key = self.exactly(4)
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(self.exactly(length)))
        self.received.append((first & 0xF, payload))
        if first & 0xF == 8 and not self.deaf:
            self.stream.sendall(bytes([0x88, len(payload)]) + payload)
            raise EOFError
        if first & 0xF == 9:
            self.stream.sendall(bytes([0x8A, len(payload)]) + payload)

    def send(self, opcode, payload):
        assert len(payload) < 126
        self.stream.sendall(bytes([0x80 | opcode, len(payload)]) + payload)


class Terminal:
    """The program on a pseudo-terminal, and all that it has shown."""

    def __init__(self, *arguments, **environment):
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (24, 100))
        self.before = termios.tcgetattr(self.theirs)
        self.home = tempfile.mkdtemp()
        state = {"TERM": "xterm", "HOME": self.home, "PATH": os.environ["PATH"]}
        state.update(environment)
        self.process = subprocess.Popen(
            [PROGRAM, "connect", *arguments],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env=state, start_new_session=True,
        )
        self.shown = b""
        self.prompts = 0

    def type(self, text):
        os.write(self.ours, text.encode())

    def prompt(self):
        """Waits for the next prompt: between two the terminal is an ordinary one, on which Ctrl-D means something else."""
        self.prompts += 1
        at = 0
        for _ in range(self.prompts):
            at = self.see(b"\x1b[?2004h", at)
        self.see("> ", at)

    def enter(self, line):
        """A line, and the prompt behind it."""
        self.type(line + "\r")
        self.prompt()

    def see(self, text, since=0):
        """Waits until the screen has shown this behind `since`; answers where it ends."""
        wanted = text if isinstance(text, bytes) else text.encode()
        until = time.monotonic() + LIMIT
        while wanted not in self.shown[since:]:
            left = until - time.monotonic()
            assert left > 0, "never saw %r" % wanted
            if select.select([self.ours], [], [], left)[0]:
                try:
                    more = os.read(self.ours, 65536)
                except OSError:
                    more = b""
                assert more, "the terminal closed without %r" % wanted
                self.shown += more
        return since + self.shown[since:].index(wanted) + len(wanted)

    def end(self):
        """Waits for the end. Answers the exit status; the terminal has to be as it was."""
        until = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not end"
            if select.select([self.ours], [], [], 0.05)[0]:
                self.shown += os.read(self.ours, 65536)
        while select.select([self.ours], [], [], 0.05)[0]:
            self.shown += os.read(self.ours, 65536)
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is not as it was"
        return self.process.returncode

    def ends_with(self, status):
        found = self.end()
        assert found == status, "exit status %r in place of %r" % (found, status)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def until(condition, what):
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def talk():
    """Lines are sent, messages are printed above the prompt, and what was typed stays."""
    server = Server()
    terminal = Terminal(server.url)
    yield terminal
    terminal.prompt()
    terminal.enter("hello")
    until(lambda: (1, b"hello") in server.received, "the line did not arrive")
    at = len(terminal.shown)
    terminal.type("half a li")
    terminal.see("half a li", at)
    at = len(terminal.shown)
    server.send(1, "grüße\n\tzwei".encode())
    at = terminal.see("grüße\r\n  \tzwei", at)
    # the half line is drawn again below the message
    terminal.see("half a li", at)
    terminal.enter("ne")
    until(lambda: (1, b"half a line") in server.received, "the line was torn: %r" % server.received)
    server.send(2, bytes(range(20)))
    at = terminal.see("binary, 20 bytes")
    terminal.see("00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|", at)
    terminal.enter("//etc")
    until(lambda: (1, b"/etc") in server.received, "no /etc")
    terminal.enter("/binary 00 ff")
    until(lambda: (2, b"\x00\xff") in server.received, "no binary")
    terminal.type("/close 4001 so long\r")
    terminal.see("closed by us: 4001 (private use): so long")
    until(lambda: (8, struct.pack(">H", 4001) + b"so long") in server.received, "no Close")
    terminal.ends_with(0)


def hostile():
    """What a peer sends does not drive the terminal: titles, colours, cursor, line ends, the direction of writing."""
    payload = "\x1b]0;owned\x07\x1b[31m\x1b[2J\rX\x9b5mY\u202eZ".encode()
    server = Server(bytes([0x81, len(payload)]) + payload)
    terminal = Terminal(server.url, NO_COLOR="1")
    yield terminal
    terminal.see("\\u{1b}]0;owned\\u{7}\\u{1b}[31m\\u{1b}[2J\\rX\\u{9b}5mY\\u{202e}Z")
    server.send(9, b"\x1b[2Jping")
    terminal.see("Ping \\u{1b}[2Jping")
    server.send(8, struct.pack(">H", 1000) + b"\x1b[31mbye")
    terminal.see("closed by the server: 1000 (normal closure): \\u{1b}[31mbye")
    terminal.ends_with(0)
    for sequence in (b"\x1b]0;", b"\x1b[31m", b"\x1b[2J", b"\x9b5", "\u202e".encode()):
        assert sequence not in terminal.shown, "%r reached the terminal" % sequence


def commands():
    """Pings with their times, help, and what is wrong with a command."""
    server = Server()
    terminal = Terminal(server.url, "--ping", "0.2")
    yield terminal
    terminal.prompt()
    at = terminal.see("Pong after ")
    terminal.see("Pong after ", at)
    terminal.enter("/ping hi")
    until(lambda: (9, b"hi") in server.received, "no Ping")
    terminal.enter("/help")
    terminal.see("/close [CODE] [REASON]")
    terminal.enter("/nonsense")
    terminal.see("/nonsense is no command")
    terminal.enter("/close 1005")
    terminal.see("1005 may not stand in a Close (RFC 6455, 7.4)")
    terminal.type("\x04")
    terminal.ends_with(0)
    assert (8, struct.pack(">H", 1000)) in server.received, server.received


def history():
    """Lines are remembered in the user's state directory, unless that is turned off; arrow up brings them back."""
    home = None
    for turn in range(2):
        server = Server()
        terminal = Terminal(server.url, **({"HOME": home} if home else {}))
        home = home or terminal.home
        yield terminal
        terminal.prompt()
        if turn == 0:
            terminal.enter("remember me")
            terminal.enter(" but not this")
            until(lambda: (1, b" but not this") in server.received, "not sent: %r" % server.received)
        else:
            terminal.enter("\x1b[A")
            until(lambda: (1, b"remember me") in server.received, "not remembered: %r" % server.received)
        terminal.type("\x04")
        terminal.ends_with(0)
    file = os.path.join(home, ".local/state/wireroom/history")
    assert "remember me" in open(file).read()
    assert "but not this" not in open(file).read()
    assert os.stat(file).st_mode & 0o077 == 0, "others may read the history"

    server = Server()
    terminal = Terminal(server.url, "--no-history")
    yield terminal
    terminal.prompt()
    terminal.enter("forget me")
    terminal.type("\x04")
    terminal.ends_with(0)
    assert os.listdir(terminal.home) == [], "something was left in the home directory"


def interrupts():
    """Ctrl-C at the prompt and SIGINT close with 1000, SIGTERM with 1001; the terminal is as it was."""
    for way, code in (("key", 1000), (signal.SIGINT, 1000), (signal.SIGTERM, 1001)):
        server = Server()
        terminal = Terminal(server.url)
        yield terminal
        terminal.prompt()
        terminal.type("half")
        terminal.see("half")
        if way == "key":
            terminal.type("\x03")
        else:
            terminal.process.send_signal(way)
        terminal.ends_with(0)
        assert (8, struct.pack(">H", code)) in server.received, (way, server.received)


def twice():
    """A server that answers no Close: a second Ctrl-C ends the program at once, and the terminal is as it was."""
    server = Server(deaf=True)
    terminal = Terminal(server.url)
    yield terminal
    terminal.prompt()
    terminal.type("\x03")
    until(lambda: (8, struct.pack(">H", 1000)) in server.received, "no Close")
    began = time.monotonic()
    terminal.process.send_signal(signal.SIGINT)
    terminal.ends_with(130)
    assert time.monotonic() - began < 2, "not at once"


def stopped():
    """A terminal that takes nothing any more does not keep the program from its end."""
    server = Server()
    terminal = Terminal(server.url)
    yield terminal
    terminal.prompt()
    server.stream.settimeout(1)
    try:
        for _ in range(20_000):
            server.send(1, b"x" * 100)
    except OSError:
        pass
    terminal.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    terminal.process.send_signal(signal.SIGTERM)
    until(lambda: terminal.process.poll() is not None, "it does not end")
    terminal.ends_with(130)


def ahead():
    """What is typed ahead, many lines at once, is sent in order, each as a line."""
    server = Server()
    terminal = Terminal(server.url)
    yield terminal
    terminal.prompt()
    lines = ["line %d" % number for number in range(50)]
    terminal.type("".join(line + "\r" for line in lines))
    for _ in lines:
        terminal.prompt()
    until(lambda: len(server.received) >= 50, "only %r" % server.received)
    assert [payload.decode() for _, payload in server.received] == lines, server.received
    terminal.type("\x04")
    terminal.ends_with(0)


def dumb():
    """A terminal that knows no cursor: lines are read as they come, commands are commands, and nothing is coloured."""
    server = Server()
    terminal = Terminal(server.url, TERM="dumb")
    yield terminal
    until(server.open.is_set, "not open")
    terminal.type("hello\n/ping\n")
    until(lambda: (1, b"hello") in server.received, "not sent")
    terminal.see("Pong after ")
    server.send(1, b"\x1b[2J")
    terminal.see("\\u{1b}[2J")
    terminal.type("/close 1000\n")
    terminal.ends_with(0)
    assert b"\x1b" not in terminal.shown, "an escape sequence"


def server_ends():
    """The server goes while a line is being typed: the terminal is as it was, and the status tells how."""
    for payload, status, text in (
        (struct.pack(">H", 1001), 0, "closed by the server: 1001 (going away)"),
        (struct.pack(">H", 4000) + b"no", 8, "wireroom: closed by the server: 4000 (private use): no"),
        (None, 6, "wireroom: the connection ended without a closing handshake"),
    ):
        server = Server()
        terminal = Terminal(server.url)
        yield terminal
        terminal.prompt()
        terminal.type("half")
        terminal.see("half")
        if payload is None:
            server.stream.shutdown(socket.SHUT_RDWR)
        else:
            server.send(8, payload)
        terminal.see(text)
        terminal.ends_with(status)


def colours():
    """Colours on a terminal; none with NO_COLOR, on a dumb one, or with --color never."""
    for arguments, environment, coloured in (
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ):
        server = Server(b"\x81\x02hi")
        terminal = Terminal(server.url, *arguments, **environment)
        yield terminal
        terminal.see("hi")
        server.send(8, b"")
        terminal.ends_with(0)
        found = b"\x1b[36mhi" in terminal.shown
        assert found == coloured, (arguments, environment, terminal.shown)


def many():
    """A flood of messages above a half line: all of them are there, in order, and the last."""
    server = Server()
    terminal = Terminal(server.url, NO_COLOR="1")
    yield terminal
    terminal.prompt()
    terminal.type("half")
    terminal.see("half")
    for number in range(500):
        server.send(1, b"message %d." % number)
    server.send(8, struct.pack(">H", 1000))
    terminal.see("closed by the server: 1000")
    terminal.ends_with(0)
    found = [int(number) for number in re.findall(rb"message (\d+)\.", terminal.shown)]
    assert found == list(range(500)), found


def main():
    scenario = globals()[sys.argv[2]]
    terminals = []
    try:
        for terminal in scenario():
            terminals.append(terminal)
    except AssertionError as error:
        shown = terminals[-1].shown if terminals else b""
        sys.exit("%s: %s\non the screen: %r" % (sys.argv[2], error, shown))
    finally:
        for terminal in terminals:
            terminal.kill()
    print("ok")


main()
