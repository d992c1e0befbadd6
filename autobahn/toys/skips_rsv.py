"""Flaw: ignores the reserved bits (RFC 6455 section 5.2)."""
import sound


class Connection(sound.Connection):
    def check_reserved_bits(self, bits):
        pass


sound.serve(Connection)
