# SPDX-License-Identifier: Apache-2.0
"""Settings: order of sources, every fault at once with its line, and the file that init writes."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.config import load, to_toml
from corridor.errors import CODES, Exit, Invalid, Problem
from corridor.limits import Limits
from corridor.settings import LATER, PARTICIPANT, SECTIONS
from corridor.settings.kinds import (
    RESERVED_IDS,
    read_duration,
    read_size,
    write_duration,
    write_size,
)

LEAST = """\
[node]
public_url = "https://corridor.stat.example"

[[participant]]
id = "stat"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "corridor.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **given: Any) -> list[Problem]:
    with pytest.raises(Invalid) as told:
        load(write(folder, text), given.get("environ", {}), given.get("overrides"))
    assert told.value.code == told.value.problems[0].code
    for it in told.value.problems:
        assert CODES[it.code].exit is Exit.CONFIGURATION
    return list(told.value.problems)


def test_the_least_file_and_its_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, LEAST), {})
    assert config.node.name == "corridor.stat.example"
    assert str(config.node.peer_listen) == "127.0.0.1:7000"
    assert config.node.hosts == (
        "corridor.stat.example",
        "127.0.0.1:7000",
        "localhost:7000",
        "127.0.0.1:7001",
        "localhost:7001",
    )
    assert config.node.data_dir == Path("/var/lib/corridor")
    assert not config.node.development
    assert config.database.url == "sqlite:///corridor.db"
    assert (config.tls.mode, config.tls.key_file) == ("proxy", None)
    assert config.keys.rotate_after == 365 * 86400
    assert config.trust.peers_file == tmp_path / "peers.toml"
    assert config.policy.floors == {"min_group_size": 5}
    assert config.services.enabled == ("files", "tables")
    assert config.limits == Limits()
    assert config.net.allow_networks == ()
    (one,) = config.participants
    assert (one.id, one.did) == ("stat", "did:web:corridor.stat.example:stat")
    assert (one.identity, one.languages) == ("self-issued", ("en",))


def test_option_over_environment_over_file_over_default(tmp_path: Path) -> None:
    text = LEAST.replace(
        "\n\n", '\nname = "file"\npeer_listen = "127.0.0.1:1"\nhome_listen = "127.0.0.1:2"\n\n', 1
    )
    environ = {
        "CORRIDOR_NODE__NAME": "environment",
        "CORRIDOR_NODE__PEER_LISTEN": "127.0.0.1:3",
        "CORRIDOR_URL": "http://not-a-setting",
        "CORRIDOR_TOKEN": "cor_not_a_setting",
        "HOME": "/root",
    }
    config = load(write(tmp_path, text), environ, {"node.name": "option"})
    assert config.node.name == "option"
    assert (config.node.peer_listen.port, config.node.home_listen.port) == (3, 2)
    assert config.origins["node.name"] == "option"
    assert config.origins["node.peer_listen"] == "environment CORRIDOR_NODE__PEER_LISTEN"
    assert config.origins["node.home_listen"] == "corridor.toml:5"
    assert config.origins["node.data_dir"] == "default"
    assert set(config.origins) == {f"{s}.{key}" for s, rows in SECTIONS.items() for key in rows}


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, LEAST)
    assert load(None, {"CORRIDOR_CONFIG": str(path)}).participants[0].id == "stat"


def test_without_a_file() -> None:
    config = load(
        None,
        {"CORRIDOR_NODE__PUBLIC_URL": "https://x.example/"},
        {"participant": [{"id": "one", "title": {"en": "One"}}]},
    )
    assert config.node.public_url == "https://x.example"
    assert config.trust.peers_file == Path.cwd() / "peers.toml"
    assert config.participants[0].title == {"en": "One"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("REQUESTS__WAIT", "2m", 120.0),
        ("REQUESTS__WAIT", "90", 90.0),
        ("ROOMS__UNSAFE_ROOM", "true", True),
        ("NET__ALLOW_HOSTS", "a.example:443, b.example:8443", ("a.example:443", "b.example:8443")),
        ("NET__ALLOW_HOSTS", '["A.example:443"]', ("a.example:443",)),
        ("NET__ALLOW_HOSTS", "a.example:443", ("a.example:443",)),
        ("NET__ALLOW_HOSTS", "", ()),
        ("NET__ALLOW_NETWORKS", "10.1.0.0/16", ("10.1.0.0/16",)),
        ("POLICY__FLOORS", "{ min_group_size = 10 }", {"min_group_size": 10}),
        ("LIMITS__MESSAGE_BYTES_MAX", "2MiB", 2 << 20),
        ("LIMITS__CONNECTIONS_MAX", "7", 7),
        ("NODE__NAME", "5", "5"),
        ("SERVICES__FILES__ROOTS", "/a,/b", (Path("/a"), Path("/b"))),
    ],
)
def test_values_of_the_environment(tmp_path: Path, name: str, text: str, value: Any) -> None:
    config = load(write(tmp_path, LEAST), {f"CORRIDOR_{name}": text})
    found: Any = config
    for part in name.lower().split("__"):
        found = getattr(found, part)
    assert found == value


def test_paths_begin_at_the_file(tmp_path: Path) -> None:
    text = LEAST.replace("\n\n", '\ndata_dir = "data"\n\n', 1) + (
        '\n[services.tables]\nroots = ["tables", "/srv"]\n'
    )
    config = load(write(tmp_path, text), {})
    assert config.node.data_dir == tmp_path / "data"
    assert config.services.tables.roots == (tmp_path / "tables", Path("/srv"))
    assert config.services.files.roots == ()


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


DEVELOPMENT = """\
[node]
public_url = "http://localhost:7000"
development = true

[[participant]]
id = "stat"
identity = "unsafe-open"
unsafe_peer = "did:web:localhost%3A7001:other"
"""


def test_development(tmp_path: Path) -> None:
    config = load(write(tmp_path, DEVELOPMENT), {}, {"net.http_hosts": "localhost:9000"})
    assert config.net.allow_networks == ("127.0.0.0/8", "::1/128")
    assert config.net.http_hosts[:2] == ("localhost:9000", "localhost:7000")
    assert config.participants[0].did == "did:web:localhost%3A7000:stat"
    assert config.participants[0].unsafe_peer == "did:web:localhost%3A7001:other"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (
            "development = true",
            'peer_listen = "0.0.0.0:7000"\ndevelopment = true',
            "node.peer_listen",
        ),
        ("development = true", 'home_listen = "[::]:7001"\ndevelopment = true', "node.home_listen"),
        ("development = true", 'peer_listen = "10.0.0.1:7000"', "participant[0].identity"),
        ("development = true", "", "node.public_url"),
        ("http://localhost:7000", "http://x.example:7000", "node.public_url"),
        ("http://localhost:7000", "http://localhost", "node.public_url"),
        ("http://localhost:7000", "https://u:p@x.example", "node.public_url"),
        ("http://localhost:7000", "https://x.example/?a", "node.public_url"),
        ("http://localhost:7000", "https://x.example:99999", "node.public_url"),
        ("http://localhost:7000", "http://127.0.0.1:7000", "participant[0].did"),
    ],
)
def test_development_stays_on_this_machine(tmp_path: Path, old: str, new: str, path: str) -> None:
    assert path in [it.path for it in problems(tmp_path, DEVELOPMENT.replace(old, new))]


def test_loopback_networks_and_shared_ports_need_loopback_listeners(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        LEAST,
        overrides={
            "node.peer_listen": "0.0.0.0:7001",
            "net.allow_networks": "0.0.0.0/0",
        },
    )
    assert {it.path for it in found} == {"node.home_listen", "net.allow_networks"}
    config = load(
        write(tmp_path, LEAST),
        {},
        {"node.peer_listen": "127.0.0.1:7001", "net.allow_networks": "127.0.0.0/8"},
    )
    assert config.net.allow_networks == ("127.0.0.0/8",)


def test_the_database_url_out_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:other.db\n")
    config = load(write(tmp_path, f'{LEAST}\n[database]\nurl_file = "url"\n'), {})
    assert config.database.url == "sqlite:///other.db"


def test_limits_and_their_other_names(tmp_path: Path) -> None:
    more = "\n[ledger]\ncheckpoint_every = '2s'\n[limits]\napproval_wait_s = '3d'\n"
    config = load(write(tmp_path, LEAST + more), {})
    assert config.limits.checkpoint_every_s == config.ledger.checkpoint_every == 2.0
    assert config.limits.approval_wait_s == config.approvals.lapse_after == 3 * 86400.0
    assert config.limits == dataclasses.replace(
        Limits(), checkpoint_every_s=2.0, approval_wait_s=3 * 86400.0
    )


ALL: Mapping[str, Any] = {
    "node.public_url": "https://corridor.stat.example",
    "node.name": 'Quote " and ünïcode \\',
    "node.data_dir": "/tmp/x",
    "tls.mode": "own",
    "tls.certificate_file": "/c.pem",
    "tls.key_file": "/k.pem",
    "keys.overlap": "90m",
    "requests.wait": "1500ms",
    "net.allow_hosts": ["a.example:443"],
    "policy.floors": {"min_group_size": 10},
    "services.tables.roots": ["/srv/tables"],
    "limits.message_bytes_max": "2MiB",
    "limits.headers_read_s": 0.25,
    "limits.connections_max": 7,
    "participant": [
        {
            "id": "stat",
            "title": {"en": "Statistics", "zh-Hans": "统计"},
            "country": "EG",
            "languages": ["en", "ar"],
            "purposes": {"own-purpose": "https://x.example/p"},
        },
        {"id": "second", "did": "did:web:other.example"},
    ],
}


def test_the_written_file_reads_back(tmp_path: Path) -> None:
    config = load(None, {}, ALL)
    text = to_toml(config)
    again = load(write(tmp_path, text), {})
    for name in config.__struct_fields__:
        if name not in {"origins", "trust"}:
            assert getattr(again, name) == getattr(config, name), name
    assert to_toml(again).count("\n") == text.count("\n")
    assert [line for line in text.split("\n") if line.startswith("name = ")] == [
        'name = "Quote \\" and ünïcode \\\\"  # shown to people; empty: the host of public_url'
    ]


def test_the_written_file_shows_every_setting_and_its_default(tmp_path: Path) -> None:
    text = to_toml(load(write(tmp_path, LEAST), {}))
    shown = tomllib.loads(
        "\n".join(it.removeprefix("# ") for it in text.split("\n")[1:]).replace('did = ""', "")
    )
    for section, rows in SECTIONS.items():
        found = shown
        for part in section.split("."):
            found = found[part]
        for key, row in rows.items():
            assert key in found
            if key != "public_url":
                assert found[key] == row.default
    assert shown["participant"][0].keys() >= PARTICIPANT.keys() - {"did"}


@given(st.integers(1, 10**5), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_read_back(amount: int, unit: str) -> None:
    seconds = read_duration(f"{amount}{unit}")
    assert read_duration(write_duration(seconds)) == seconds


@given(st.integers(1, 2**50))
def test_sizes_read_back(count: int) -> None:
    assert read_size(write_size(count)) == count


@given(
    st.text(max_size=80),
    st.sampled_from(sorted(f"{s}__{k}" for s, r in SECTIONS.items() for k in r)),
)
def test_any_text_of_the_environment_is_a_value_or_a_problem(text: str, name: str) -> None:
    environ = {f"CORRIDOR_{name.replace('.', '__').upper()}": text}
    options = {"participant": [{"id": "stat"}]}
    if "PUBLIC_URL" not in next(iter(environ)):
        options["node.public_url"] = "https://x.example"
    with contextlib.suppress(Invalid):
        assert (
            load(None, environ, options).origins[name.replace("__", ".")].startswith("environment ")
        )


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_settings_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with pytest.raises(Invalid):
        load(path, {})
