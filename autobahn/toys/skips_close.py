"""Flaw: ends the stream at a Close frame without an answer (RFC 6455 section 5.5.1). Every message is as it should be:
only `behaviorClose` shows it."""
import sound


class Connection(sound.Connection):
    def answer_close(self, payload):
        pass


sound.serve(Connection)
