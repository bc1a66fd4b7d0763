# SPDX-License-Identifier: Apache-2.0
"""Facts of peers: what is read, and that a fault leaves no facts at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from corridor.config import load_peers
from corridor.errors import Invalid
from corridor.policy.facts import Credential, Who

GOOD = """\
[[peer]]
did = "did:web:cons.example:rs"
country = "RS"

[[peer.credential]]
type = "MembershipCredential"
issuer = "did:web:centre.example"
claims = { memberType = "statistical-office" }
valid_until = 2027-12-31T01:00:00+01:00

[[peer]]
did = "did:web:localhost%3A7001:stat"
"""


def test_facts_by_did(tmp_path: Path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(GOOD)
    member = Credential(
        type="MembershipCredential",
        issuer="did:web:centre.example",
        claims={"memberType": "statistical-office"},
        valid_until=datetime(2027, 12, 31, tzinfo=UTC),
    )
    assert load_peers(path) == {
        "did:web:cons.example:rs": Who(
            did="did:web:cons.example:rs", credentials=(member,), country="RS"
        ),
        "did:web:localhost%3A7001:stat": Who(did="did:web:localhost%3A7001:stat"),
    }


def test_no_file_is_no_facts(tmp_path: Path) -> None:
    assert load_peers(tmp_path / "peers.toml") == {}
    (tmp_path / "peers.toml").write_text("")
    assert load_peers(tmp_path / "peers.toml") == {}


@pytest.mark.parametrize(
    ("old", "new", "path", "line"),
    [
        ('country = "RS"', 'country = "Serbia"', "peer[0].country", 3),
        ('country = "RS"', 'contry = "RS"', "peer[0].contry", 3),
        ('"did:web:cons.example:rs"', '"did:key:z6Mk"', "peer[0].did", 2),
        ('did = "did:web:cons.example:rs"', "", "peer[0].did", 1),
        ("did:web:localhost%3A7001:stat", "did:web:cons.example:rs", "peer[1].did", 12),
        ('issuer = "did:web:centre.example"', "", "peer[0].credential[0].issuer", 5),
        ('type = "MembershipCredential"', 'type = ""', "peer[0].credential[0].type", 6),
        ('"statistical-office"', "5", "peer[0].credential[0].claims", 8),
        ("01:00:00+01:00", "01:00:00", "peer[0].credential[0].valid_until", 9),
        ("[[peer.credential]]", "[peer.credential]", "peer[0].credential", 5),
        ("[[peer.credential]]", "[[peer.credentials]]", "peer[0].credentials", 5),
    ],
)
def test_faults_with_their_lines(tmp_path: Path, old: str, new: str, path: str, line: int) -> None:
    file = tmp_path / "peers.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(Invalid) as told:
        load_peers(file)
    assert [(it.path, it.line) for it in told.value.problems] == [(path, line)]


@pytest.mark.parametrize(
    "text", ["[[peers]]\ndid = 'x'\n", "peer = 5\n", "[peer]\ndid = 'x'\n", "x"]
)
def test_files_of_another_shape(tmp_path: Path, text: str) -> None:
    (tmp_path / "peers.toml").write_text(text)
    with pytest.raises(Invalid):
        load_peers(tmp_path / "peers.toml")
