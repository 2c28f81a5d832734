#!/usr/bin/env python3
"""Compares wsapp with websocat, wscat and wsdump, in turns, against one echo server: the time from the start of the process
to its first message, a million lines through a pipe, and the size of the program.

    cargo build --profile dist -p wsapp
    cli/compare/run.py [--lines N] [--runs N] [--server URL] NAME=PROGRAM ...

NAME is wsapp, websocat, wscat or wsdump. Without --server it is `wsapp serve --echo`. What a program has not written two minutes
after its start counts as lost; websocat is asked twice, for by itself it closes where its input ends, and with -n never.
"""

import argparse
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 120

# How each is asked to send `hi` once, and to read lines from a pipe.
FIRST = {
    "wsapp": lambda program, url: [program, url, "-x", "hi", "-n", "1"],
    "websocat": lambda program, url: [program, "-n", url],
    "wscat": lambda program, url: [program, "--no-color", "-c", url, "-x", "hi", "-w", "1"],
    "wsdump": lambda program, url: [program, "-r", "-t", "hi", url],
}
PIPE = {
    "wsapp": [lambda program, url: [program, url]],
    "websocat": [lambda program, url: [program, url], lambda program, url: [program, "-n", url]],
    "wscat": [lambda program, url: [program, "--no-color", "-c", url]],
    "wsdump": [lambda program, url: [program, "-r", "--eof-wait", "5", url]],
}


def first_message(name, program, url):
    """The milliseconds until the first line that is the echo."""
    began = time.perf_counter()
    process = subprocess.Popen(FIRST[name](program, url), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    if name == "websocat":
        process.stdin.write(b"hi\n")
        process.stdin.flush()
    elapsed = None
    while line := process.stdout.readline():
        if b"hi" in line:
            elapsed = (time.perf_counter() - began) * 1e3
            break
    process.kill()
    process.wait()
    return elapsed


def lines(command, expected):
    """Seconds until the last line came back, and what did."""
    with tempfile.TemporaryFile() as source:
        source.write(expected)
        source.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(process.stdout.fileno(), False)
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        received, last = bytearray(), began
        while (left := began + LIMIT - time.perf_counter()) > 0:
            if not selector.select(left):
                break
            piece = process.stdout.read(1 << 20)
            if not piece:
                break
            received += piece
            last = time.perf_counter()
            if len(received) >= len(expected):
                break
        process.kill()
        process.wait()
    return last - began, bytes(received)


def verdict(received, expected):
    count = received.count(b"\n")
    if received.startswith(expected):
        return "the same"
    if expected.startswith(received):
        return f"the first {count} lines, the others are lost"
    return f"not the same: {count} lines came"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--server")
    parser.add_argument("program", nargs="+")
    args = parser.parse_args()
    programs = dict(program.split("=", 1) for program in args.program)
    server, url = None, args.server
    if not url:
        server = subprocess.Popen([programs["wsapp"], "serve", "--echo", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        url = server.stderr.readline().split()[-1]
        threading.Thread(target=server.stderr.read, daemon=True).start()
    try:
        print(f"echo server: {url}")
        times = {name: [] for name in programs}
        for _ in range(args.runs):
            for name, program in programs.items():
                times[name].append(first_message(name, program, url))
        print("start to first message, ms: median (least)")
        for name, measured in times.items():
            measured = [time for time in measured if time is not None]
            print(f"  {name:9} {statistics.median(measured):8.1f} ({min(measured):.1f})" if measured else f"  {name:9} none")
        data = b"".join(b"line %d\n" % i for i in range(args.lines))
        print(f"{args.lines} lines there and back, {len(data)} bytes")
        for name, program in programs.items():
            for command in (make(program, url) for make in PIPE[name]):
                seconds, received = lines(command, data)
                options = " ".join(argument for argument in command[1:] if argument != url)
                print(f"  {name:9} {options:17} {seconds:8.2f} s  {verdict(received, data)}")
        print("size of the program, bytes")
        for name, program in programs.items():
            print(f"  {name:9} {os.path.getsize(os.path.realpath(program)):>9}")
    finally:
        if server:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
