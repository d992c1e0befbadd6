"""The suite with an exception in two of its cases, where no verdict shows it: in a timer, and in a Deferred that nobody
looks at. Such a run must fail though all cases pass. Takes the arguments of `python -m autobahntestsuite`."""
import runpy

from autobahntestsuite.case.case1_1_1 import Case1_1_1
from autobahntestsuite.case.case1_1_2 import Case1_1_2
from twisted.internet import defer, reactor


def before(case, act):
    on_open = case.onOpen
    case.onOpen = lambda self: (act(), on_open(self))


before(Case1_1_1, lambda: reactor.callLater(0, lambda: 1 // 0))
before(Case1_1_2, lambda: defer.fail(RuntimeError("nobody looks at this")) and None)
runpy.run_module("autobahntestsuite", run_name="__main__", alter_sys=True)
