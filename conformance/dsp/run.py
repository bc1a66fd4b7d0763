# SPDX-License-Identifier: Apache-2.0
"""Runs the public conformance kit of the Dataspace Protocol against a node of ours.

    conformance/dsp/run.py [--self-test] [TEST-ID ...]

Fetches the kit (Maven, once), compiles its main, starts `harness.py` and then the kit, prints a
line a test, and ends with `65 passed, 0 failed`. `--self-test` lets the kit run against its own
connector, which shows that the kit itself works here. Everything stays on loopback.

The harness prints one line of JSON when it is ready: `root`, `base` (addresses without a trailing
slash), `agent` (our participant id), `negotiation` and `transfer` (its trigger addresses).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import rules

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBS, CLASSES, WORK = HERE / "libs", HERE / "classes", ROOT / "build" / "dsp"
KIT_BOUND_S = 140.0
READY_BOUND_S = 20.0
COMPLAINT = "AssertionError: Invalid message"
OUTCOME = re.compile(r"(SUCCESSFUL|FAILED|ABORTED): ([A-Z_]+:\d\d-\d\d)")


def prepare() -> None:
    """Put the kit's jars into libs/ and our main into classes/, unless they are there."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not here: the kit needs a JDK of 17 or newer, and Maven")
    stamp = LIBS / ".pom"
    pom = hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != pom:
        shutil.rmtree(LIBS, ignore_errors=True)
        shutil.rmtree(CLASSES, ignore_errors=True)
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={LIBS}"]
        print("fetching the kit", flush=True)
        if subprocess.run([*command, "-o"], cwd=HERE, capture_output=True, check=False).returncode:
            subprocess.run(command, cwd=HERE, check=True)
        stamp.write_text(pom)
    main, compiled = HERE / "Main.java", CLASSES / "Main.class"
    if not compiled.exists() or compiled.stat().st_mtime < main.stat().st_mtime:
        CLASSES.mkdir(exist_ok=True)
        subprocess.run(["javac", "-d", CLASSES, "-cp", f"{LIBS}/*", main], check=True)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(node: Mapping[str, str] | None, port: int) -> dict[str, str]:
    """The kit's properties (dsp.md 7.3); without a node it tests its own connector."""
    found = {
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(port),
        "dataspacetck.callback.address": f"http://127.0.0.1:{port}",
        "dataspacetck.ansi": "false",
    }
    if node is None:
        return {**found, "dataspacetck.dsp.local.connector": "true"}
    return {
        **found,
        "dataspacetck.dsp.connector.http.url": node["base"],
        "dataspacetck.dsp.connector.http.base.url": node["root"],
        "dataspacetck.dsp.connector.agent.id": node["agent"],
        "dataspacetck.dsp.connector.negotiation.initiate.url": node["negotiation"],
        "dataspacetck.dsp.connector.transfer.initiate.url": node["transfer"],
        "dataspacetck.dsp.default.wait": "10",  # seconds
        **rules.inputs(),
    }


@contextmanager
def harness(port: int) -> Iterator[dict[str, str]]:
    """Our node with the table of `rules`, from its ready line to its end; the kit has `port`."""
    with (WORK / "harness.log").open("wb") as log:
        command = [sys.executable, str(HERE / "harness.py"), f"127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=WORK)
        try:
            assert process.stdout is not None
            with selectors.DefaultSelector() as ready:
                ready.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if ready.select(READY_BOUND_S) else b""
            if not line:
                sys.exit(f"the harness did not start:\n{tail(WORK / 'harness.log')}")
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def run_kit(properties: Mapping[str, str], tests: list[str]) -> tuple[int, int, int]:
    """Start the kit, print a line a test: (its exit status, passed, failed)."""
    text = "".join(f"{key}={value}\n" for key, value in sorted(properties.items()))
    (WORK / "kit.properties").write_text(text)
    command = ["java", "-cp", f"{CLASSES}:{LIBS}/*", "Main", str(WORK / "kit.properties"), *tests]
    deadline = time.monotonic() + KIT_BOUND_S
    passed = failed = 0
    with (WORK / "kit.log").open("w") as log, (WORK / "kit.err").open("wb") as errors:
        kit = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert kit.stdout is not None
        # Read as it comes, so that the bound holds for a kit that says nothing as well.
        with selectors.DefaultSelector() as ready:
            ready.register(kit.stdout, selectors.EVENT_READ)
            rest = ""
            while ready.select(max(0.0, deadline - time.monotonic())):
                block = os.read(kit.stdout.fileno(), 65_536).decode(errors="replace")
                if not block:
                    break
                log.write(block)
                *lines, rest = (rest + block).split("\n")
                for outcome in filter(None, map(OUTCOME.search, lines)):
                    good = outcome[1] == "SUCCESSFUL"
                    passed, failed = passed + good, failed + (not good)
                    print(f"{'ok  ' if good else 'FAIL'} {outcome[2]}", flush=True)
            else:
                kit.kill()
                print(f"the kit took longer than {KIT_BOUND_S:.0f} s", flush=True)
                failed += 1
        status = kit.wait()
        kit.stdout.close()
    return status, passed, failed


def tail(path: Path, lines: int = 60) -> str:
    """The end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def main() -> int:
    """The whole run; its last line is the counts."""
    arguments = argparse.ArgumentParser(description="the conformance kit against our node")
    arguments.add_argument("--self-test", action="store_true", help="the kit against itself")
    arguments.add_argument("tests", nargs="*", metavar="TEST-ID", help="only these (CN:01-03)")
    chosen = arguments.parse_args()
    prepare()
    WORK.mkdir(parents=True, exist_ok=True)
    logs = [WORK / "kit.err", WORK / "kit.log"]
    port = free_port()
    if chosen.self_test:
        status, passed, failed = run_kit(settings(None, port), chosen.tests)
    else:
        with harness(port) as node:
            status, passed, failed = run_kit(settings(node, port), chosen.tests)
        logs.append(WORK / "harness.log")
    # The kit never answers a message that its schemas refuse, and a test may pass all the same.
    complaints = (WORK / "kit.err").read_text(errors="replace").count(COMPLAINT)
    if complaints:
        failed += 1
        print(f"{complaints} messages of ours are not valid by the kit's schemas")
    expected = len(chosen.tests) or rules.TESTS
    if failed == 0 and (status != 0 or passed != expected):
        failed = 1  # decided by counts, never by a log's silence
        print(f"expected {expected} tests to pass; the kit's exit status is {status}")
    if failed:
        for log in logs:
            print(f"--- the end of {log.relative_to(ROOT)}\n{tail(log)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
