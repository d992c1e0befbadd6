"""Flaw: checks neither texts nor close reasons for UTF-8 (RFC 6455 section 8.1)."""
import sound


class Connection(sound.Connection):
    def check_text(self, decoder, piece, message, last):
        pass

    def check_reason(self, reason):
        pass


sound.serve(Connection)
