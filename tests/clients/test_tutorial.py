# SPDX-License-Identifier: Apache-2.0
"""The tutorial as its reader does it: two terminals, its own commands, real nodes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "two-nodes.md"
FENCE = re.compile(r"^```sh (\w+)(?: exit=(\d+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DONE = "the block ended with"
PORTS = ("7001", "7002")
READY_S = 20.0


@dataclass(frozen=True)
class Block:
    terminal: str
    status: int
    text: str


def blocks(ports: tuple[int, int]) -> list[Block]:
    text = PAGE.read_text(encoding="utf-8")
    here = {usual: str(port) for usual, port in zip(PORTS, ports, strict=True)}
    text = re.sub("|".join(PORTS), lambda found: here[found[0]], text)
    return [Block(name, int(status or 0), it) for name, status, it in FENCE.findall(text)]


class Terminal:
    """A shell that stays; what it prints is kept."""

    def __init__(self, folder: Path, home: Path) -> None:
        bin_ = str(Path(sys.executable).parent)
        environ = {k: it for k, it in os.environ.items() if not k.startswith("CORRIDOR_")}
        environ |= {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
        self.shell = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, text: str) -> tuple[int, str]:
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        lines = text.replace("\\\n", " ")
        # Stops at the first command that fails, without ending the shell or losing its jobs.
        self.shell.stdin.write(f"trap 'failed=$?' ERR; failed=0\n{lines}")
        self.shell.stdin.write(f'echo "{DONE} $failed"\n')
        self.shell.stdin.flush()
        told: list[str] = []
        for line in self.shell.stdout:
            if line.startswith(DONE):
                return int(line.removeprefix(DONE)), "".join(told)
            told.append(line)
        return -1, "".join(told)

    def close(self) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write("kill %1 2>/dev/null && wait\n")
        self.shell.stdin.close()
        self.shell.wait(20)
        assert self.shell.stdout is not None
        self.shell.stdout.close()


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[dict[str, Terminal]]:
    work = tmp_path / "work"
    work.mkdir()
    found = {name: Terminal(work, tmp_path) for name in ("stat", "institute")}
    yield found
    for it in found.values():
        it.close()


def ready(terminal: Terminal) -> None:
    until = time.monotonic() + READY_S
    while (told := terminal.type("corridor status\n"))[0] != 0:
        assert time.monotonic() < until, f"{told[1]}\n{terminal.type('cat *.log')[1]}"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_tutorial_does_what_it_says(
    terminals: dict[str, Terminal], free_ports: tuple[int, int]
) -> None:
    told: dict[str, str] = {}
    for it in blocks(free_ports):
        status, said = terminals[it.terminal].type(it.text)
        assert status == it.status, f"{it.text}\n{said}"
        if "corridor up" in it.text:
            ready(terminals[it.terminal])
        told[it.text] = said
    whole = "\n".join(told.values())
    for expected in (
        "Kenya\t21",
        "error[query-refused]",
        "allowed: country, persons, year",
        "outcome\tdenied",
        "downloads/people",
        "error[agreement-withdrawn]",
    ):
        assert expected in whole, whole


def test_every_block_names_its_terminal() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(blocks((7001, 7002))) == text.count("```sh ") > 15
    assert text.count("```sh\n") == 1
