"""interop.py EXAMPLES [WORD..]: runs the checks (all, or those whose names contain a word) against the programs in EXAMPLES."""

import asyncio
import pathlib
import sys

from against_client import against_client
from against_server import against_server
from checks import Checks, Programs
from deflate import round_trips_with, the_tap_itself
from peers import NodePeer, PythonPeer
from raw_against_client import raw_against_client
from raw_against_server import raw_against_server
from raw_deflate import raw_deflate


async def main():
    checks, programs = Checks(sys.argv[2:]), Programs(sys.argv[1])
    node = await NodePeer(pathlib.Path(__file__).with_name("peer.mjs")).start()
    try:
        parts = [(against_server, peer) for peer in (PythonPeer(), node)] + [(raw_against_server,)]
        parts += [(against_client, peer) for peer in (PythonPeer(), node)] + [(raw_against_client,)]
        parts += [(the_tap_itself,)] + [(round_trips_with, peer) for peer in (PythonPeer(), node)] + [(raw_deflate,)]
        for part, *peer in parts:
            try:
                await part(checks, programs, *peer)
            except Exception as error:  # the server itself failed: it did not start, panicked, or ended
                checks.failed += 1
                print(f"FAIL  {part.__name__} could not go on\n      {type(error).__name__}: {error}", flush=True)
    finally:
        await node.stop()
    return checks.summary()


sys.exit(asyncio.run(main()))
