"""python -m autobahntestsuite MODE SPEC.json

  fuzzingclient   test the servers named in the spec
  fuzzingserver   test clients until SIGTERM; prints READY once it listens
  cases           print the case ids that the spec selects

It runs cases and writes reports; it judges nothing. Exit status: 0 it ran; 3 an exception was raised inside the suite
while a case ran; 4 a server could not be reached.
"""
import json
import sys

errors = []


def say(text):
    print(text, flush=True)


def selected(spec):
    from autobahntestsuite.case import (
        CaseBasename, CaseCategories, CaseSetname, CaseSubCategories, Cases)
    from autobahntestsuite.caseset import CaseSet
    names = (CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
    return CaseSet(*names).parseSpecCases(spec)


def observe(event):
    if event.get("isError"):
        from twisted.python import log
        text = log.textFromEventDict(event) or repr(event)
        errors.append(text)
        sys.stderr.write("AUTOBAHN EXCEPTION: %s\n" % text)
        sys.stderr.flush()


def main(argv):
    if len(argv) != 2 or argv[0] not in ("fuzzingclient", "fuzzingserver", "cases"):
        sys.stderr.write(__doc__)
        return 2
    mode = argv[0]
    with open(argv[1], encoding="utf-8") as f:
        spec = json.load(f)
    if mode == "cases":
        for case in selected(spec):
            say(case)
        return 0

    import autobahn
    import autobahntestsuite
    from autobahn.websocket.utf8validator import Utf8Validator
    from autobahn.websocket.xormasker import XorMaskerNull
    from twisted.internet import reactor
    from twisted.python import log
    log.startLoggingWithObserver(observe, setStdout=False)
    from autobahntestsuite import fuzzing
    say("autobahntestsuite %s, autobahn %s, %s, %s, %s" % (
        autobahntestsuite.version, autobahn.version, reactor.__class__.__name__,
        Utf8Validator.__module__, XorMaskerNull.__module__))
    if mode == "fuzzingclient":
        factory = fuzzing.startClient(spec)
    else:
        factory = fuzzing.startServer(spec, 0)
        reactor.callWhenRunning(say, "READY %s" % spec["url"])
    reactor.run()
    if errors:
        say("FAILED: %d exceptions inside the suite" % len(errors))
        return 3
    if getattr(factory, "connectFailed", False):
        say("FAILED: could not connect")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
