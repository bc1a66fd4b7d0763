# SPDX-License-Identifier: Apache-2.0
"""Settings that are refused: every fault at once, each with its line, none with its value."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.settings.least import LEAST, problems

from corridor.config import load
from corridor.errors import Invalid
from corridor.settings import LATER
from corridor.settings.kinds import RESERVED_IDS


def test_every_fault_at_once_with_its_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
[node]
public_url = "ftp://x"          # 2
peer_listen = "everywhere"      # 3
peer_lissen = "127.0.0.1:7000"  # 4

[sevices]                       # 6
enabled = []

[net]
allow_networks = ["10.0.0.1/8"] # 10

[auth]                          # 12
session_idle = "30m"

[limits]
message_bytes_max = "lots"      # 16
'deliver_per_peer_max' = 0      # 17
requests_wait = 5               # 18

[[participant]]
id = "Stat"                     # 21
country = "Egypt"               # 22

[[participant]]
id = "console"                  # 25
identity = "dcp"                # 26
tittle = { en = "x" }           # 27
""",
    )
    assert {(it.path, it.line, it.code) for it in found} == {
        ("node.public_url", 2, "setting-invalid"),
        ("node.peer_listen", 3, "setting-invalid"),
        ("node.peer_lissen", 4, "setting-unknown"),
        ("sevices.enabled", 7, "setting-unknown"),
        ("net.allow_networks", 10, "setting-invalid"),
        ("auth", 12, "setting-later"),
        ("limits.message_bytes_max", 16, "setting-invalid"),
        ("limits.deliver_per_peer_max", 17, "setting-invalid"),
        ("limits.requests_wait", 18, "setting-unknown"),
        ("participant[0].id", 21, "setting-invalid"),
        ("participant[0].country", 22, "setting-invalid"),
        ("participant[1].id", 25, "setting-invalid"),
        ("participant[1].identity", 26, "setting-invalid"),
        ("participant.tittle", 27, "setting-unknown"),
    }
    assert all(it.source == "corridor.toml" for it in found)
    mends = {it.path: it.mend for it in found}
    assert mends["node.peer_lissen"] == "did you mean peer_listen?"
    assert mends["sevices.enabled"] == "did you mean services?"
    assert mends["participant.tittle"] == "did you mean title?"
    assert "this version" in next(
        it.message for it in found if it.path == "participant[1].identity"
    )


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    (one,) = problems(tmp_path, '[node]\nname = "a\n')
    assert (one.code, one.line) == ("setting-unreadable", 2)
    (one,) = problems(tmp_path, "#" * (1 << 20) + "\n")
    assert "is over 1048576 bytes" in one.message
    with pytest.raises(Invalid) as told:
        load(tmp_path / "none.toml", {})
    assert [it.message for it in told.value.problems] == ["No such file or directory"]
    (tmp_path / "corridor.toml").write_bytes(b"\xff")
    with pytest.raises(Invalid):
        load(tmp_path / "corridor.toml", {})


def test_what_must_be_there(tmp_path: Path) -> None:
    found = problems(tmp_path, "")
    assert {(it.path, it.code) for it in found} == {
        ("node.public_url", "setting-missing"),
        ("participant", "setting-missing"),
    }


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("[tls]\nmode = 'own'\ncertificate_file = 'c.pem'", "tls.key_file"),
        ("[tls]\nkey_file = 'c.pem'", "tls.key_file"),
        ("[database]\nurl = 'postgresql://x/y'", "database.url"),
        ("[database]\nurl = 'sqlite:../x.db'", "database.url"),
        ("[database]\nurl_file = 'none'", "database.url_file"),
        ("[database]\nurl = 'sqlite:a.db'\nurl_file = 'url'", "database.url_file"),
        ("[keys]\nstore = 'exec'", "keys.store"),
        ("[keys]\noverlap = '1m'", "keys.overlap"),
        ("[keys]\nrotate_after = '1h'", "keys.rotate_after"),
        ("[net]\nhttp_hosts = ['x.example:80']", "net.http_hosts"),
        ("[net]\nallow_hosts = ['x.example']", "net.allow_hosts"),
        ("[net]\nallow_hosts = 'x.example:1'", "net.allow_hosts"),
        ("[net]\ncallback_check = 'none'", "net.callback_check"),
        ("[net]\nproxy = 'x'", "net.proxy"),
        ("[policy]\nfloors = { max_rows = 5 }", "policy.floors"),
        ("[policy]\nfloors = { min_group_size = 5.5 }", "policy.floors"),
        ("[policy.foreign]\nby_hand = 'ask'", "policy.foreign"),
        ("[services]\nenabled = ['jobs']", "services.enabled"),
        ("[services]\nenabled = ['files', 'files']", "services.enabled"),
        ("[services.jobs]\nroots = []", "services.jobs.roots"),
        ("[services.files]\nroots = ['']", "services.files.roots"),
        ("[rooms]\nunsafe_room = 'yes'", "rooms.unsafe_room"),
        ("[log]\nlevel = 'all'", "log.level"),
        ("[requests]\nwait = '-1s'", "requests.wait"),
        ("[requests]\nwait = nan", "requests.wait"),
        ("[trust]\npeers_file = ''", "trust.peers_file"),
        ("[limits]\nheaders_read_s = true", "limits.headers_read_s"),
        (
            "[ledger]\ncheckpoint_every = '2s'\n[limits]\ncheckpoint_every_s = 1",
            "ledger.checkpoint_every",
        ),
        ("[[participant]]\nid = 'stat'", "participant[1].id"),
        ("[[participant]]\nid = 'b'\ndid = 'did:key:z'", "participant[1].id"),
        ("[[participant]]\nid = 'bb'\ndid = 'did:key:z'", "participant[1].did"),
        ("[[participant]]\nid = 'bb'\nunsafe_peer = 'x'", "participant[1].unsafe_peer"),
        ("[[participant]]\nid = 'bb'\nidentity = 'unsafe-open'", "participant[1].unsafe_peer"),
        ("[[participant]]\nid = 'bb'\nlanguages = []", "participant[1].languages"),
        ("[[participant]]\nid = 'bb'\npurposes = { own = 'x' }", "participant[1].purposes"),
        ("[[participant]]\nid = 'bb'\ntitle = 'x'", "participant[1].title"),
        ("[participants]\nid = 'bb'", "participants.id"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, more: str, path: str) -> None:
    (tmp_path / "url").write_text("sqlite:a.db")
    assert path in [it.path for it in problems(tmp_path, f"{LEAST}\n{more}\n")]


@pytest.mark.parametrize("text", ["node = 5\n", "[[node]]\nname = 'x'\n", "participant = 5\n"])
def test_sections_of_a_wrong_shape(tmp_path: Path, text: str) -> None:
    found = problems(tmp_path, text)
    assert found[0].path in {"node", "participant"}
    assert found[0].code == "setting-invalid"


def test_one_table_for_one_participant_needs_two_brackets(tmp_path: Path) -> None:
    found = problems(tmp_path, LEAST.replace("[[participant]]", "[participant]"))
    assert found[0].message == "needs [[participant]], two brackets each"


@pytest.mark.parametrize("name", sorted(RESERVED_IDS))
def test_reserved_ids(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, LEAST.replace('"stat"', f'"{name}"'))
    assert [it.path for it in found] == ["participant[0].id"]


@pytest.mark.parametrize("name", sorted(LATER))
def test_what_a_later_version_does_is_refused_as_such(tmp_path: Path, name: str) -> None:
    section, _, key = name.partition(".")
    if section == "participant":
        text = LEAST + f'{key} = "x"\n'
    else:
        text = f"{LEAST}\n[{section}]\n{key or 'some'} = 1\n"
    if section == "node":
        text = LEAST.replace("\n\n", f"\n{key} = 1\n\n", 1)
    assert [it.code for it in problems(tmp_path, text)] == ["setting-later"]


def test_unknown_names_of_environment_and_options(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        LEAST,
        environ={"CORRIDOR_NODE__NAMME": "x", "CORRIDOR_PARTICIPANT__ID": "x"},
        overrides={"nodes.name": "x"},
    )
    assert {(it.path, it.source, it.code) for it in found} == {
        ("node.namme", "environment CORRIDOR_NODE__NAMME", "setting-unknown"),
        ("participant.id", "environment CORRIDOR_PARTICIPANT__ID", "setting-invalid"),
        ("nodes.name", "option", "setting-unknown"),
    }


def test_no_value_of_a_setting_is_told(tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    found = problems(
        tmp_path,
        LEAST,
        environ={
            "CORRIDOR_DATABASE__URL": f"postgresql://u:{secret}@h/d",
            "CORRIDOR_NODE__PEER_LISTEN": secret,
            "CORRIDOR_LIMITS__CONNECTIONS_MAX": secret,
        },
    )
    assert len(found) == 3
    assert secret not in repr(found)
