# SPDX-License-Identifier: Apache-2.0
"""Settings: order of sources, what follows from what, and development on one machine."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.settings.least import LEAST, problems, write

from corridor.config import load
from corridor.errors import Invalid
from corridor.limits import Limits
from corridor.settings import SECTIONS


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
