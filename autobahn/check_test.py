#!/usr/bin/env python3
"""The gate against reports that were altered: it passes the true one and names whatever is wrong with another."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
EXPECTED = json.loads((HERE / "expected/server.json").read_text())


class Gate(unittest.TestCase):
    def judged(self, alter=lambda report: None, log="", expected=EXPECTED, cases="", agent="wireroom"):
        """Exit status, and the lines of the gate about the committed report after `alter`."""
        report = json.loads(json.dumps(EXPECTED))
        alter(report)
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            (directory / "index.json").write_text(json.dumps({"wireroom": report}))
            (directory / "expected.json").write_text(json.dumps(expected))
            (directory / "suite.log").write_text(log)
            run = subprocess.run(
                [sys.executable, HERE / "check.py", directory / "index.json", "--spec", HERE / "server.json",
                 "--expected", directory / "expected.json", "--log", directory / "suite.log", "--cases", cases,
                 "--agent", agent], capture_output=True, text=True)
        self.assertEqual(run.stderr, "")
        return run.returncode, [line for line in run.stdout.splitlines() if line.startswith("GATE ")]

    def refuses(self, line, *args, **kwargs):
        status, lines = self.judged(*args, **kwargs)
        self.assertEqual((status, lines[:-1]), (1, [line]))

    def test_passes_what_is_committed(self):
        self.assertEqual(self.judged(), (0, ["GATE PASSED: %d cases" % len(EXPECTED)]))
        self.assertEqual(self.judged(lambda report: [report.pop(case) for case in list(report) if case[0] != "3"], cases="3.*"),
                         (0, ["GATE PASSED: 7 cases"]))

    def test_refuses_every_other_verdict(self):
        for verdict in ("NON-STRICT", "UNIMPLEMENTED", "FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "", None):
            for key in ("behavior", "behaviorClose"):
                self.refuses("GATE 6.4.1: %s is %s" % (key, verdict), lambda report: report["6.4.1"].update({key: verdict}))
        self.refuses("GATE 6.4.1: behaviorClose is None", lambda report: report["6.4.1"].pop("behaviorClose"))

    def test_refuses_a_difference_though_both_would_pass(self):
        self.refuses("GATE 7.1.6: behavior is OK, committed is INFORMATIONAL",
                     lambda report: report["7.1.6"].update(behavior="OK"))
        self.refuses("GATE 1.1.1: behavior is INFORMATIONAL, committed is OK",
                     lambda report: report["1.1.1"].update(behavior="INFORMATIONAL"))

    def test_refuses_a_committed_failure(self):
        wrong = EXPECTED | {"6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"}}
        self.refuses("GATE 6.4.1: behavior is NON-STRICT", lambda report: report.update(wrong), expected=wrong)

    def test_refuses_missing_and_unknown_cases(self):
        self.refuses("GATE 5.19: missing", lambda report: report.pop("5.19"))
        self.refuses("GATE 5.99: was not asked for", lambda report: report.update({"5.99": report["5.1"]}))
        self.refuses("GATE 1.1.1: was not asked for", lambda report: [report.pop(case) for case in list(report)
                                                                      if case[0] != "3" and case != "1.1.1"], cases="3.*")

    def test_refuses_a_summary_that_lost_cases(self):
        fewer = {case: verdict for case, verdict in EXPECTED.items() if case != "5.19"}
        self.refuses("GATE 5.*: 19 cases are committed, the section has 20", lambda report: report.pop("5.19"), expected=fewer)

    def test_refuses_to_judge_nothing(self):
        self.refuses("GATE 8.*: selects no case", lambda report: report.clear(), cases="8.*")
        status, lines = self.judged(agent="another")
        self.assertEqual((status, lines[0], lines[-1]), (1, "GATE 1.1.1: missing", "GATE FAILED: %d" % len(EXPECTED)))

    def test_refuses_exceptions_of_the_suite(self):
        for line in ("AUTOBAHN EXCEPTION: something", "Traceback (most recent call last):", "Unhandled error in Deferred:",
                     "Unhandled Error"):
            self.refuses("GATE suite: " + line, log="Running test case ID 1.1.1\n%s\n" % line)


if __name__ == "__main__":
    unittest.main(verbosity=0)
