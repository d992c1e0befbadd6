"""A small echo server (RFC 6455, no extensions) without a flaw that the suite's sections 1 to 7 and 10 could name.

The toys beside it are this one with a single flaw each: what the gate says of them, and not of this one, is due to the
flaw. They share no line with the library. They bound nothing and wait for ever: never run them for anything else.
"""
import base64
import codecs
import hashlib
import socket
import threading

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Fault(Exception):
    """The peer broke a rule; the argument is the close code."""


class Connection:
    def __init__(self, stream):
        self.stream = stream
        self.received = b""

    def serve(self):
        try:
            self.shake_hands()
            try:
                self.converse()
            except (Fault, UnicodeDecodeError) as fault:
                self.send(CLOSE, (fault.args[0] if isinstance(fault, Fault) else 1007).to_bytes(2, "big"))
            # 7.1.1: the server ends the stream first, and reads on, or a reset could destroy its last frame.
            self.stream.shutdown(socket.SHUT_WR)
            while self.stream.recv(65536):
                pass
        except OSError:
            pass  # the peer has gone
        finally:
            self.stream.close()

    def shake_hands(self):
        while b"\r\n\r\n" not in self.received:
            self.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        key = {name.lower(): value.strip() for name, _, value in lines}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    def converse(self):
        opcode, message = None, b""
        while True:
            first, second = self.take(2)
            fin, kind, size = first >> 7, first & 15, second & 127
            self.check_reserved_bits(first & 0x70)
            if not second & 128 or kind not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
                raise Fault(1002)
            if kind >= CLOSE and (not fin or size > 125) or kind < CLOSE and (kind == CONTINUATION) != (opcode is not None):
                raise Fault(1002)
            if size > 125:
                size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
            key = self.take(4)
            if kind >= CLOSE:
                payload = unmask(self.take(size), key)
                if kind == CLOSE:
                    return self.answer_close(payload)
                if kind == PING:
                    self.send(PONG, payload)
                continue
            if kind != CONTINUATION:
                opcode, message, decoder = kind, b"", codecs.getincrementaldecoder("utf-8")()
            while True:  # piece by piece, as it comes
                piece = unmask(self.take_some(size), key)
                key = key[len(piece) % 4:] + key[:len(piece) % 4]
                size -= len(piece)
                message += piece
                if opcode == TEXT:
                    self.check_text(decoder, piece, message, last=fin and not size)
                if not size:
                    break
            if fin:
                self.send(opcode, message)
                opcode = None

    # What the flawed toys change.

    def check_reserved_bits(self, bits):
        if bits:
            raise Fault(1002)

    def check_text(self, decoder, piece, message, last):
        decoder.decode(piece, last)

    def check_reason(self, reason):
        reason.decode()

    def answer_close(self, payload):
        code = int.from_bytes(payload[:2], "big")
        if len(payload) == 1 or payload and not (1000 <= code <= 1003 or 1007 <= code <= 1011 or 3000 <= code <= 4999):
            raise Fault(1002)
        self.check_reason(payload[2:])
        self.send(CLOSE, payload[:2])

    # Bytes.

    def send(self, opcode, payload):
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
        self.stream.sendall(bytes([0x80 | opcode]) + length + payload)

    def receive(self):
        more = self.stream.recv(65536)
        if not more:
            raise ConnectionResetError
        self.received += more

    def take(self, n):
        while len(self.received) < n:
            self.receive()
        taken, self.received = self.received[:n], self.received[n:]
        return taken

    def take_some(self, most):
        if most and not self.received:
            self.receive()
        return self.take(min(most, len(self.received)))


def unmask(payload, key):
    n = len(payload)
    return (int.from_bytes(payload, "big") ^ int.from_bytes((key * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")


def serve(connection):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
        while True:
            stream, _ = listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=connection(stream).serve, daemon=True).start()


if __name__ == "__main__":
    serve(Connection)
