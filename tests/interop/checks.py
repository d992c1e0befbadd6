"""Named checks, and the two programs under test."""

import asyncio
import contextlib
import os
import re
import sys
import traceback

LIMIT = 20  # seconds that one check may take if it does not say otherwise, and any program to start


class Checks:
    def __init__(self, words, limit=LIMIT):
        self.words = words
        self.limit = limit
        self.passed = self.failed = 0

    def heading(self, text):
        print(f"\n{text}", flush=True)

    async def check(self, name, proof, *args):
        """Runs one check: it fails when `proof` raises or takes too long. What it returns is told with its name."""
        if self.words and not any(word in name for word in self.words):
            return
        try:
            figures = await asyncio.wait_for(proof(*args), self.limit)
        except Exception as error:  # a failed check is reported, and the next one runs
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in where if "/interop/" in frame.filename] or where
            at = f"{ours[-1].filename.rsplit('/', 1)[-1]}:{ours[-1].lineno}" if ours else "?"
            print(f"FAIL  {name}\n      {type(error).__name__} at {at}: {str(error)[:600] or 'took too long'}", flush=True)
        else:
            self.passed += 1
            print(f"ok    {name}{': ' if figures else ''}{figures or ''}", flush=True)

    def summary(self):
        print(f"\n{self.passed} passed, {self.failed} failed")
        return 0 if self.passed and not self.failed else 1


def short(value):
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}.. ({len(value)} long)"


def equal(seen, wanted, what=""):
    if seen != wanted:
        raise AssertionError(f"{what}{': ' if what else ''}saw {short(seen)}, wanted {short(wanted)}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


class Ended:
    """What a program left behind."""

    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout.decode("utf-8", "replace")
        self.stderr = stderr.decode("utf-8", "replace")

    def clean(self):
        equal(self.status, 0, f"exit status, with {short(self.stderr)} on standard error")
        return self

    def complained(self, *words):
        """It ended with a failure, did not panic, and gave a reason that holds one of the words."""
        holds(self.status not in (0, None) and self.status > 0, f"exit status {self.status} is no failure")
        holds("panicked" not in self.stderr, f"panicked: {short(self.stderr)}")
        said = self.stderr.lower()
        holds(said.strip(), "no reason on standard error")
        holds(not words or any(str(word).lower() in said for word in words), f"none of {words} in {short(self.stderr)}")
        return self


    def in_one_sentence(self, *secrets):
        """What was said is one line, says who speaks, and none of this."""
        equal(len(self.stderr.splitlines()), 1, f"lines on standard error, {short(self.stderr)}")
        holds(self.stderr.startswith(("client: ", "echo_client: ")), self.stderr)
        holds(not any(secret in self.stderr for secret in secrets), "a secret was printed")
        return self


class Program:
    """A running program, its output collected as it comes."""

    async def start(self, *command, env=None, stdin=asyncio.subprocess.DEVNULL):
        """`env`: what is set beside our own environment, in which no proxy is named."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=2**24, env=kept | (env or {}))
        self.stderr = asyncio.create_task(self.process.stderr.read())
        return self

    async def finish(self):
        """Waits until it ends by itself."""
        stdout, status = await asyncio.gather(self.process.stdout.read(), self.process.wait())
        return Ended(status, stdout, await self.stderr)

    async def stop(self):
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        return await self.finish()


class Programs:
    """Starts the examples under test, and lets none of them stay behind."""

    def __init__(self, directory):
        self.directory = directory

    @contextlib.asynccontextmanager
    async def echo(self, *flags):
        """A running echo server: gives its port."""
        async with self.server(*flags) as (port, _):
            yield port

    @contextlib.asynccontextmanager
    async def server(self, *flags):
        """A running echo server: gives its port and its process. It must still run when the checks are done with it."""
        program = await Program().start(f"{self.directory}/echo", "--listen", "127.0.0.1:0", *flags)
        try:
            line = await asyncio.wait_for(program.process.stdout.readline(), LIMIT)
            found = re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\n", line)
            if not found:
                raise AssertionError(f"echo {flags} printed {line!r}: {(await program.stop()).stderr}")
            yield int(found[1]), program.process.pid
            # A server that was ended by a check has failed it, even if that check saw what it wanted.
            await asyncio.sleep(0.05)
            if program.process.returncode is not None:
                raise AssertionError(f"echo ended with {program.process.returncode}: {(await program.stop()).stderr[-400:]}")
        finally:
            ended = await program.stop()
            if "panicked" in ended.stderr:
                print(ended.stderr[-600:], file=sys.stderr)
                raise AssertionError("echo panicked")

    @contextlib.asynccontextmanager
    async def client(self, url, *flags, name="client", env=None):
        program = await Program().start(f"{self.directory}/{name}", url, *flags, env=env)
        try:
            yield program
        finally:
            await program.stop()

    async def run(self, name, *arguments, env=None):
        """A program that is to end by itself."""
        program = await Program().start(f"{self.directory}/{name}", *arguments, env=env)
        try:
            return await program.finish()
        finally:
            await program.stop()
