"""world.py EXAMPLES [WORD..]: over wss and through proxies; all checks, or those whose names contain a word."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from checks import Checks, Programs
from peers import NodePeer, PythonPeer
from openssl import openssl_as_client, openssl_as_server
from proxies import through_http_proxies, through_socks_proxies
from wss_client import wss_against_client
from wss_server import wss_against_server

LIMIT = 60  # seconds of one check: 16 MiB take their time in peers on a busy machine


async def main():
    checks, programs = Checks(sys.argv[2:], LIMIT), Programs(sys.argv[1])
    node = await NodePeer(pathlib.Path(__file__).parents[1] / "peer.mjs").start()
    try:
        parts = [(wss_against_server, PythonPeer()), (wss_against_server, node), (openssl_as_client,)]
        parts += [(wss_against_client, PythonPeer()), (wss_against_client, node), (openssl_as_server,)]
        parts += [(through_http_proxies, node), (through_socks_proxies, node)]
        for part, *peer in parts:
            try:
                await part(checks, programs, *peer)
            except Exception as error:  # a program that all of the part's checks need failed: did not start, or ended
                checks.failed += 1
                print(f"FAIL  {part.__name__} could not go on\n      {type(error).__name__}: {error}", flush=True)
    finally:
        await node.stop()
    return checks.summary()


sys.exit(asyncio.run(main()))
