#!/usr/bin/env python3
"""The gate: judges one Autobahn report, strictly.

  check.py INDEX.json --spec SPEC.json --expected EXPECTED.json [--agent NAME] [--cases 1.*,2.*] [--log FILE]...
  check.py INDEX.json --summary [--agent NAME]      prints a summary, to be committed by hand; judges nothing

A case passes if its behavior and its behaviorClose are OK or INFORMATIONAL, and both are as committed: NON-STRICT,
UNIMPLEMENTED, a missing case, a case nobody asked for, and a difference of any kind fail. A log with an exception of
the suite fails as well. Each failure is a line "GATE case: reason". Exit status: 0 passed, 1 failed, 2 misused.
"""
import argparse
import fnmatch
import json
import re
import sys

PASS = {"OK", "INFORMATIONAL"}
# Cases per section in release 25.10.1: a committed summary that lost some of them cannot hide it.
SECTIONS = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126}
EXCEPTION = re.compile(r"^AUTOBAHN EXCEPTION|^Traceback \(most recent call last\)|Unhandled [Ee]rror|^Unhandled error in")


def number(case):
    return [int(part) for part in case.split(".")]


def section(case):
    return case.split(".")[0]


def summary(report):
    return {case: {key: report[case].get(key) for key in ("behavior", "behaviorClose")}
            for case in sorted(report, key=number)}


def select(expected, patterns):
    return [case for case in expected if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)]


def judge(report, expected, spec_patterns, patterns):
    """The cases to judge, and the failures as (case, reason)."""
    failures = []
    allowed = select(expected, spec_patterns)
    wanted = [case for case in select(expected, patterns) if case in set(allowed)]
    for pattern in patterns:
        if not select(wanted, [pattern]):
            failures.append((pattern, "selects no case"))
    for name, count in SECTIONS.items():
        # A spec names whole sections.
        if name + ".*" in spec_patterns or "*" in spec_patterns:
            have = sum(section(case) == name for case in allowed)
            if have != count:
                failures.append((name + ".*", "%d cases are committed, the section has %d" % (have, count)))
    for case in wanted:
        got = report.get(case)
        if got is None:
            failures.append((case, "missing"))
            continue
        for key in ("behavior", "behaviorClose"):
            if got.get(key) not in PASS:
                failures.append((case, "%s is %s" % (key, got.get(key))))
            elif got[key] != expected[case][key]:
                failures.append((case, "%s is %s, committed is %s" % (key, got[key], expected[case][key])))
    for case in sorted(set(report) - set(wanted), key=number):
        failures.append((case, "was not asked for"))
    return wanted, failures


def exceptions(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        return [line.strip() for line in log if EXCEPTION.search(line)]


def table(report, wanted, failures):
    bad = {case for case, _ in failures}
    rows = [("section", "cases", "OK", "INFORMATIONAL", "failed")]
    for name in list(dict.fromkeys(section(case) for case in wanted)) + ["all"]:
        cases = [case for case in wanted if name in ("all", section(case))]
        good = [report[case]["behavior"] for case in cases if case not in bad]
        rows.append((name, len(cases), good.count("OK"), good.count("INFORMATIONAL"), len(cases) - len(good)))
    return "\n".join("%8s %6s %6s %14s %7s" % row for row in rows)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("index")
    parser.add_argument("--agent", default="wireroom")
    parser.add_argument("--spec")
    parser.add_argument("--expected")
    parser.add_argument("--cases", default="")
    parser.add_argument("--log", action="append", default=[])
    parser.add_argument("--summary", action="store_true")
    args = parser.parse_args()
    try:
        with open(args.index, encoding="utf-8") as file:
            report = json.load(file).get(args.agent, {})
    except (OSError, ValueError) as error:
        print("GATE %s: %s" % (args.index, error))
        return 1
    if args.summary:
        lines = ["  %s: %s" % (json.dumps(case), json.dumps(got)) for case, got in summary(report).items()]
        print("{\n%s\n}" % ",\n".join(lines))
        return 0
    if not args.spec or not args.expected:
        parser.error("--spec and --expected are needed")
    with open(args.expected, encoding="utf-8") as file:
        expected = json.load(file)
    with open(args.spec, encoding="utf-8") as file:
        spec_patterns = json.load(file)["cases"]
    patterns = [pattern for pattern in args.cases.split(",") if pattern] or spec_patterns
    wanted, failures = judge(report, expected, spec_patterns, patterns)
    print(table(report, wanted, failures))
    for path in args.log:
        failures += [("suite", line) for line in exceptions(path)]
    for case, reason in failures:
        print("GATE %s: %s" % (case, reason))
    print("GATE FAILED: %d" % len(failures) if failures or not wanted else "GATE PASSED: %d cases" % len(wanted))
    return 1 if failures or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
