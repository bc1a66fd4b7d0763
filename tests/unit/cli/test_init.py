# SPDX-License-Identifier: Apache-2.0
"""`corridor init`, ports, profiles and the lock of the demonstration: files and their modes."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from corridor.cli import demo_nodes, ports
from corridor.cli.away import read_token
from corridor.cli.demo_nodes import Pair
from corridor.cli.root import run
from corridor.client.places import read_profiles
from corridor.codes import Exit
from corridor.config import load
from corridor.errors import CorridorError, Invalid, NotSignedIn


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return {"HOME": str(tmp_path), "COLUMNS": "100"}


LINE = ["init", "node", "--domain", "corridor.stat.example", "--participant", "stat", "--title",
        "Statistics", "--country", "rs", "--data", "data", "--no-input", "--yes"]  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_writes_a_node(tmp_path: Path, environ: dict[str, str]) -> None:
    assert run(LINE, environ) == Exit.DONE
    config = load(tmp_path / "node/corridor.toml", {})
    (participant,) = config.participants
    assert participant.did == "did:web:corridor.stat.example:stat"
    assert (participant.country, participant.title) == ("RS", {"en": "Statistics"})
    assert mode(tmp_path / "node/corridor.toml") == 0o640
    assert mode(tmp_path / "data/master.key") == 0o600
    assert mode(tmp_path / "data") == 0o700
    assert f"ReadWritePaths={tmp_path}/data" in (tmp_path / "node/corridor.service").read_text()
    assert run(["doctor", "--config", "node/corridor.toml"], environ) in (0, 10)
    assert run(["config", "show", "--toml", "--config", "node/corridor.toml"], environ) == 0


def test_init_twice_changes_nothing(
    tmp_path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(LINE, environ) == Exit.DONE
    files = [it for it in tmp_path.rglob("*") if it.is_file()]
    before = {it: (it.read_bytes(), it.stat().st_mtime_ns) for it in files}
    (tmp_path / "node/peers.toml").unlink()
    capsys.readouterr()
    assert run(["init", "node", "--no-input", "--yes", "--json"], environ) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["written"] == ["node/peers.toml"]
    for path, (content, changed) in before.items():
        assert path.read_bytes() == content
        assert path.name == "peers.toml" or path.stat().st_mtime_ns == changed


def test_nothing_is_written_before_it_is_confirmed(tmp_path: Path, environ: dict[str, str]) -> None:
    assert run([it for it in LINE if it != "--yes"], environ) == Exit.USAGE
    assert not (tmp_path / "node").exists()
    assert not (tmp_path / "data").exists()


def test_answers_come_from_a_file(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "answers.toml").write_text(
        'domain = "corridor.stat.example"\ndata = "data"\ntls = "own"\n'
        'certificate = "c.pem"\nkey = "k.pem"\n'
    )
    line = ["init", "node", "--answers", "answers.toml", "--participant", "stat", "--no-input",
            "--yes"]  # fmt: skip
    assert run(line, environ) == Exit.DONE
    assert load(tmp_path / "node/corridor.toml", {}).tls.mode == "own"
    (tmp_path / "answers.toml").write_text('color = "red"\n')
    assert run([*line[:1], "other", *line[2:]], environ) == Exit.USAGE


@pytest.mark.parametrize("domain", ["a b", "x/y", "", "ü"])
def test_a_name_that_is_none(environ: dict[str, str], domain: str) -> None:
    line = [domain if it == "corridor.stat.example" else it for it in LINE]
    assert run(line, environ) == Exit.USAGE


def test_a_token_that_others_can_read_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "operator.token"
    with pytest.raises(NotSignedIn):
        read_token(path)
    path.write_text("cor_x\n")
    path.chmod(0o640)
    with pytest.raises(NotSignedIn):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path).reveal() == "cor_x"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(NotSignedIn):
        read_token(link)


# ports


def test_a_taken_port_is_told_and_gone_round() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.free(port)
        assert f"process {os.getpid()}" in ports.holder(port)
        with pytest.raises(CorridorError) as caught:
            ports.pair(f"{port},{port}")
        assert caught.value.code == "port-in-use"
        assert str(os.getpid()) in caught.value.cause


@pytest.mark.parametrize("given", ["1", "a,b", "1,2,3", "0,1", "70000,1", "-1,2"])
def test_two_ports_are_two_numbers(given: str) -> None:
    with pytest.raises(Invalid):
        ports.pair(given)


# the demonstration's traces


def pair(tmp_path: Path) -> Pair:
    it = Pair(tmp_path / "corridor-demo-x", (7001, 7002), keep=False)
    for node in it.nodes:
        data = node.folder / "data"
        data.mkdir(parents=True)
        (data / "operator.token").write_text(f"cor_{node.name}")
        (data / "operator.token").chmod(0o600)
    return it


def test_profiles_come_and_go_and_the_users_own_stay(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = tmp_path / ".config/corridor/profiles.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[mine]\nurl = "http://localhost:1"')
    path.chmod(0o600)
    for _ in range(2):
        assert demo_nodes.write_profiles(pair(tmp_path / str(_)), environ)
        known = read_profiles(path)
        assert known.keys() == {"mine", "demo", "demo-stat"}
        assert known["demo"]["token"] == "cor_institute"
    demo_nodes.remove_profiles(environ)
    assert read_profiles(path).keys() == {"mine"}
    assert mode(path) == 0o600


def test_a_demonstration_that_is_gone_is_cleaned_up(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    it = pair(tmp_path)
    lock = demo_nodes.state_path(environ)
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"process": 1, "folder": str(it.folder), "keep": False}))
    demo_nodes.write_profiles(it, environ)
    assert demo_nodes.living(environ) is None
    assert not it.folder.exists()
    assert not lock.exists()
    assert not (tmp_path / ".config/corridor/profiles.toml").exists()


def test_one_that_lives_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    it = pair(tmp_path)
    with demo_nodes.alive(it, environ):
        with demo_nodes.state_path(environ).open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = demo_nodes.living(environ)
        assert found is not None
        assert found["folder"] == str(it.folder)
    assert it.folder.exists()
    assert not demo_nodes.state_path(environ).exists()


def test_a_folder_of_somebody_else_is_never_deleted(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    mine = tmp_path / "precious"
    mine.mkdir()
    lock = demo_nodes.state_path(environ)
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"process": 1, "folder": str(mine), "keep": False}))
    assert demo_nodes.living(environ) is None
    assert mine.exists()
