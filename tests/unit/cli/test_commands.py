# SPDX-License-Identifier: Apache-2.0
"""The tree of commands: help, nearest command, exit codes, and the layout of errors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from corridor.cli import app
from corridor.cli.completion import bash
from corridor.cli.manual import code_text, topics
from corridor.cli.root import COMMANDS, run
from corridor.codes import CODES, Exit


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return {"HOME": str(tmp_path), "COLUMNS": "100"}


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name=name)
        for inner in command.list_commands(context):
            yield from commands(command.get_command(context, inner), f"{name} {inner}")


EVERY = dict(commands(typer.main.get_command(app), "corridor"))
LEAVES = {name: it for name, it in EVERY.items() if not hasattr(it, "list_commands")}


def shown(command: Any, name: str) -> str:
    context = command.context_class(command, info_name=name, max_content_width=100)
    return str(command.get_help(context))


@pytest.mark.parametrize("name", EVERY)
def test_help_is_short(name: str) -> None:
    assert len(shown(EVERY[name], name).splitlines()) <= 40


@pytest.mark.parametrize("name", LEAVES)
def test_help_has_two_examples(name: str) -> None:
    lines = [it.strip() for it in (LEAVES[name].help or "").splitlines()]
    assert len([it for it in lines if it.startswith(name)]) >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    assert (EVERY[f"corridor {name}"].help or "").startswith(COMMANDS[name][1].rstrip("."))


def test_help_loads_no_command_and_is_quick() -> None:
    code = (
        "import sys; from corridor.cli.root import run\n"
        "assert run(['--help'], {}) == 0\n"
        "loaded = [it for it in sys.modules if it.startswith('corridor.')]\n"
        "assert not [it for it in loaded if it.startswith(('corridor.client', 'corridor.engine'))]\n"
        "assert 'corridor.cli.demo' not in loaded and 'rich.console' not in sys.modules\n"
    )
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "demo" in done.stdout
    assert time.monotonic() - begin < 5


def test_an_unknown_command_offers_the_nearest(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["offr", "list"], environ) == Exit.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0] == "error[usage]: no command offr"
    assert "  mend   corridor offer\n" in told.err
    assert run(["deal", "shw"], environ) == Exit.USAGE
    assert "show" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (["version"], Exit.DONE),
        (["--version"], Exit.DONE),
        (["help", "exit"], Exit.DONE),
        (["help", "nothing"], Exit.NOT_FOUND),
        (["deal", "list"], Exit.NOT_ALLOWED),
        (["config", "check"], Exit.CONFIGURATION),
        (["doctor"], Exit.CONFIGURATION),
        (["up", "--config", "missing.toml"], Exit.CONFIGURATION),
        (["deal", "list", "--profile", "x"], Exit.CONFIGURATION),
        (["query"], Exit.USAGE),
        (["request", "x", "--wait", "soon"], Exit.USAGE),
        (["--profile"], Exit.USAGE),
        (["version", "--lang", "xx"], Exit.USAGE),
        (["demo", "--ports", "1"], Exit.USAGE),
        (["init", "node", "--no-input"], Exit.USAGE),
    ],
)
def test_exit_codes(environ: dict[str, str], line: list[str], status: int) -> None:
    assert run(line, environ) == status


def test_a_node_that_is_not_there(environ: dict[str, str]) -> None:
    environ |= {"CORRIDOR_URL": "http://127.0.0.1:9", "CORRIDOR_TOKEN": "cor_x"}
    assert run(["status", "--quiet"], {**environ, "NO_COLOR": "1"}) == Exit.UNREACHABLE


def test_errors_as_json(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deal", "list", "--json"], environ) == Exit.NOT_ALLOWED
    told = capsys.readouterr()
    error = json.loads(told.err)["error"]
    assert told.out == ""
    assert error["code"] == "not-signed-in"
    assert {"message", "cause", "mend", "reference", "help"} <= error.keys()


def test_what_is_piped_is_parted_by_tabs(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["limits", "session_token_life"], environ) == Exit.DONE
    assert capsys.readouterr().out == "session_token_life_s\t86400.0\tdefault\n"
    assert run(["limits", "session_token_life", "--json"], environ) == Exit.DONE
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["value"] == 86400.0


def test_the_manual_has_every_code_and_exit() -> None:
    for code in CODES:
        assert CODES[code].title in code_text(code)
    for it in Exit:
        assert f"{int(it):3}  " in topics()["exit"]


def test_completion_is_a_script_that_bash_reads(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", "bash"], environ) == Exit.DONE
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert '"deal") COMPREPLY=($(compgen -W "list show withdraw give-back"' in script
    assert bash({"": ["a"]}).endswith("complete -F _corridor corridor")
    for shell in ("zsh", "fish"):
        assert run(["completion", shell], environ) == Exit.DONE
    assert run(["completion", "cmd"], environ) == Exit.USAGE
