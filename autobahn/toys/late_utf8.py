"""Flaw, if it is one: checks a text for UTF-8 once it is whole, where it could fail at the first wrong byte. The suite
calls this NON-STRICT; the gate must not let it pass."""
import sound


class Connection(sound.Connection):
    def check_text(self, decoder, piece, message, last):
        if last:
            message.decode()


sound.serve(Connection)
