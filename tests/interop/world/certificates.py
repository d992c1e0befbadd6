"""The certificates of tests/tls/certs, by what they are for."""

import pathlib

from peers import Tls

CERTS = pathlib.Path(__file__).parents[2] / "tls" / "certs"


def pem(name):
    return str(CERTS / f"{name}.pem")


def key(name):
    return str(CERTS / f"{name}.key")


def shown(name):
    """As fields of `Tls`."""
    return {"cert": pem(name), "key": key(name)}


def serving(name):
    """As flags of our server."""
    return ["--tls-cert", pem(name), "--tls-key", key(name)]


TRUSTING = Tls(ca=pem("ca"))
STRANGERS = Tls(ca=pem("unknown_ca"))
KNOWN = Tls(ca=pem("ca"), **shown("client"))
IMPOSTOR = Tls(ca=pem("ca"), **shown("stranger"))
