"""Compares the reports of wstest with what is committed.

    report.py late INDEX.json
    report.py compare RESULTS.txt INDEX.json... [--update] --cases PATTERN...

`late` prints the cases that are not OK and in which wstest's patience came to its end: half a second in many, which a
busy machine may need for other things. They deserve another try. `compare` takes the report of that one too: of two
reports of one case the later counts. It prints how many cases passed in each section, and ends with status 1 when a case
is not OK, differs from RESULTS.txt, or is missing.

RESULTS.txt has a line for each run of cases in one subsection with the same outcome:

    1.1.1-8    OK    close OK 1000

which is what wstest says of the case, what it says of how our side closed, and the close code that our side sent
(`none` where it sent none).
"""

import argparse
import fnmatch
import json
import os
import re
import sys
from collections import Counter

HEAD = """\
# What Autobahn says of every case: its outcome, the outcome of closing, and the close code that our side sent.
# Written by `tests/autobahn/run --update`, which see; not by hand.
"""
# What these do is left open by RFC 6455: wstest only tells what it saw.
INFORMATIONAL = ["7.1.6", "7.13.*"]


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    late = commands.add_parser("late")
    late.add_argument("index")
    compare = commands.add_parser("compare")
    compare.add_argument("results")
    compare.add_argument("indexes", nargs="+", metavar="index")
    compare.add_argument("--update", action="store_true")
    compare.add_argument("--cases", nargs="+", required=True)
    arguments = parser.parse_args()
    return print_late(arguments.index) if arguments.command == "late" else print_comparison(arguments)


def print_late(index):
    outcomes, files = read_report(index)
    for case in sorted(outcomes, key=numbers):
        if not passes(case, outcomes[case]):
            with open(files[case].replace(".html", ".json"), encoding="utf-8") as file:
                events = [event[0] for event in json.load(file)["wirelog"]]
            # Its timer for the case was set, and ran out.
            if "KLE" in events:
                print(case)
    return 0


def print_comparison(arguments):
    cases, files = {}, {}
    for index in arguments.indexes:
        outcomes, reports = read_report(index)
        cases.update(outcomes)
        files.update(reports)
    committed = read_results(arguments.results)
    expected = {case: outcome for case, outcome in committed.items() if matches(case, arguments.cases)}

    complaints = {}
    for case, outcome in cases.items():
        if not passes(case, outcome):
            complaints[case] = f"is {outcome}"
        elif not arguments.update and outcome != expected.get(case):
            complaints[case] = f"is {outcome}, where {os.path.basename(arguments.results)} has {expected.get(case)}"
    if not arguments.update:
        for case in expected.keys() - cases.keys():
            complaints[case] = "was not run"

    print_sections(cases, complaints)
    for case in sorted(complaints, key=numbers):
        print(f"{case} {complaints[case]}" + (f": see {files[case]}" if case in files else ""))
    if arguments.update:
        others = {case: outcome for case, outcome in committed.items() if case not in expected}
        write_results(arguments.results, {**others, **cases})
    if not cases:
        print("no case was run")
    print(f"{len(cases.keys() - complaints.keys())} passed, {len(complaints)} failed")
    return 1 if complaints or not cases else 0


def read_report(index):
    """The outcome of every case, and the file that tells the rest of it."""
    with open(index, encoding="utf-8") as file:
        (cases,) = json.load(file).values()
    outcomes = {
        case: f"{found['behavior']}  close {found['behaviorClose']} {found['remoteCloseCode'] or 'none'}"
        for case, found in cases.items()
    }
    folder = os.path.dirname(index)
    files = {case: os.path.join(folder, found["reportfile"].replace(".json", ".html")) for case, found in cases.items()}
    return outcomes, files


def passes(case, outcome):
    allowed = ["OK", "INFORMATIONAL"] if matches(case, INFORMATIONAL) else ["OK"]
    behaviour, close = re.fullmatch(r"(.+)  close (.+) \w+", outcome).groups()
    return behaviour in allowed and close in allowed


def matches(case, patterns):
    return any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


def numbers(case):
    return [int(number) for number in case.split(".")]


def print_sections(cases, complaints):
    total = Counter(section(case) for case in cases.keys() | complaints.keys())
    failed = Counter(section(case) for case in complaints)
    for number in sorted(total):
        print(f"section {number:2}: {total[number] - failed[number]:3} passed, {failed[number]} failed")


def section(case):
    return numbers(case)[0]


def read_results(path):
    if not os.path.exists(path):
        return {}
    results = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                cases, outcome = line.split(maxsplit=1)
                group, first, last = re.fullmatch(r"(.*\.)(\d+)(?:-(\d+))?", cases).groups()
                for number in range(int(first), int(last or first) + 1):
                    results[f"{group}{number}"] = outcome.strip()
    return results


def write_results(path, results):
    runs = []
    for case in sorted(results, key=numbers):
        group, number = case.rsplit(".", 1)
        if runs and runs[-1][0] == group and runs[-1][2] == int(number) - 1 and runs[-1][3] == results[case]:
            runs[-1][2] = int(number)
        else:
            runs.append([group, int(number), int(number), results[case]])
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for group, first, last, outcome in runs:
            cases = f"{group}.{first}" + (f"-{last}" if last > first else "")
            file.write(f"{cases:<11} {outcome}\n")


if __name__ == "__main__":
    sys.exit(main())
