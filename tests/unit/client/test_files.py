# SPDX-License-Identifier: Apache-2.0
"""Downloads: resumed, checked, named at last; against a node that is a list."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client import listed_node as scripts

from corridor.client import files
from corridor.client.exchange import Got
from corridor.client.flows import Line
from corridor.client.receipts import Promised
from corridor.errors import EvidenceBroken, NotReachable, Unreadable
from corridor.evidence.receipt import Seen
from corridor.wire.home import DealView

CONTENT = bytes(range(256)) * 40
SALT = b"s" * 32
LOST = NotReachable("cut", side="home", code="home-unreachable")


def digest(content: bytes = CONTENT) -> str:
    told = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha-256=:{told}:"


def head(start: int = 0, *, etag: str = '"v1"', told: str | None = None) -> Got:
    headers = {
        "etag": etag,
        "content-length": str(len(CONTENT) - start),
        "repr-digest": digest() if told is None else told,
        "content-disposition": 'attachment; filename="population.csv"',
        "corridor-receipt": f'"r1";salt=:{base64.b64encode(SALT).decode()}:',
    }
    if start:
        headers["content-range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return Got(status=206 if start else 200, headers=headers)


def fetch(script: Any, to: Path, path: str = "", **more: Any) -> files.Fetched:
    return script.run(files.fetch(Line("institute"), "d1", path, to=to, **more))


def test_a_file_gets_its_name_once_its_digest_is_right(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    script = scripts.Script((head(), [CONTENT[:5000], CONTENT[5000:]]))
    got = fetch(script, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert got.path == tmp_path / "population.csv"
    assert got.path.read_bytes() == CONTENT
    assert seen == [(5000, len(CONTENT)), (len(CONTENT), len(CONTENT))]
    assert [it.name for it in tmp_path.iterdir()] == ["population.csv"]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    script = scripts.Script((head(), [CONTENT[:5000], LOST]), (head(5000), [CONTENT[5000:]]))
    got = fetch(script, tmp_path)
    assert got.path.read_bytes() == CONTENT
    assert script.asked[1].headers["range"] == "bytes=5000-"
    assert script.asked[1].headers["if-range"] == '"v1"'
    assert got.resumed_at == 5000


def test_a_later_run_goes_on_too(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        fetch(scripts.Script((head(), [CONTENT[:3000], LOST]), LOST, LOST), tmp_path)
    script = scripts.Script((head(3000), [CONTENT[3000:]]))
    assert fetch(script, tmp_path).path.read_bytes() == CONTENT
    assert script.asked[0].headers["range"] == "bytes=3000-"


def test_a_changed_file_is_taken_anew(tmp_path: Path) -> None:
    script = scripts.Script((head(), [b"old" * 100, LOST]), (head(etag='"v2"'), [CONTENT]))
    assert fetch(script, tmp_path).path.read_bytes() == CONTENT


def test_without_resume_nothing_old_is_used(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        fetch(scripts.Script((head(), [CONTENT[:3000], LOST]), LOST, LOST), tmp_path)
    script = scripts.Script((head(), [CONTENT]))
    fetch(script, tmp_path, resume=False)
    assert "range" not in script.asked[0].headers


def test_a_stream_that_ends_early_is_no_file(tmp_path: Path) -> None:
    short = scripts.Script(*[(head(), [CONTENT[:10]])] * 3)
    short.turns[1:] = [(head(10), [b""]), (head(10), [b""])]
    with pytest.raises(NotReachable):
        fetch(short, tmp_path)
    assert not (tmp_path / "population.csv").exists()


def test_another_digest_is_refused_and_deleted(tmp_path: Path) -> None:
    script = scripts.Script((head(told=digest(b"else")), [CONTENT]))
    with pytest.raises(EvidenceBroken):
        fetch(script, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_range_that_cannot_be_had_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        fetch(scripts.Script((head(), [CONTENT[:3000], LOST]), LOST, LOST), tmp_path)
    nothing = Got(status=416, headers={}, body=b"")
    assert fetch(scripts.Script(nothing, (head(), [CONTENT])), tmp_path).bytes == len(CONTENT)


def test_what_the_receipt_should_hold_is_the_record(tmp_path: Path) -> None:
    got = fetch(scripts.Script((head(), [CONTENT])), tmp_path)
    hexed = hashlib.sha256(CONTENT).hexdigest()
    record = f'{{"bytes":{len(CONTENT)},"digest":"sha256:{hexed}","size":{len(CONTENT)}}}'
    assert got.response == Seen.of(SALT, record.encode())
    assert got.promised == Promised("r1", SALT)


def test_where_no_digest_is_known_the_content_is_measured(tmp_path: Path) -> None:
    got = fetch(scripts.Script((head(told=""), [CONTENT])), tmp_path)
    assert got.response == Seen.of(SALT, CONTENT)


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_is_never_a_path(path: str, told: str) -> None:
    headers = {"content-disposition": f'attachment; filename="{told}"'}
    name = files._name(path, Got(status=200, headers=headers))
    assert name
    assert Path(name).name == name
    assert not name.startswith(".")
    assert len(name) <= files.NAME_CHARS_MAX


DEAL = msgspec.convert(
    {
        **dict.fromkeys(
            ("role", "partner", "service", "state", "waiting_for", "since", "what_next", "purpose"),
            "",
        ),
        "id": "d1", "partner_did": "did:web:p", "asset": "a", "pending": False, "plain": [],
    },
    DealView,
)  # fmt: skip


def found(detail: dict[str, Any]) -> Got:
    asset = {"partner": "p", "partner_did": "did:web:p", "id": "a", "title": {}, "description": {},
             "service": "files", "formats": [], "offers": [], "detail": detail}  # fmt: skip
    return scripts.answer({"items": [asset]})


def listed(script: Any) -> list[tuple[str, int]]:
    them = script.run(files.list_files(Line("i"), DEAL))
    return [(it.name, it.size) for it in them]


def test_files_are_listed_from_the_catalogue_for_nothing() -> None:
    assert listed(scripts.Script(found({"size": 9, "digest": "sha256:00"}))) == [("", 9)]
    entries = [{"name": "a.csv", "size": 3}, {"name": "b/c.csv", "size": 4}]
    script = scripts.Script(found({"files": 2, "size": 7, "entries": entries}))
    assert listed(script) == [("a.csv", 3), ("b/c.csv", 4)]
    assert len(script.asked) == 1


def test_a_longer_folder_is_asked_itself() -> None:
    listing = scripts.answer({"entries": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]})
    short = found({"files": 2, "size": 3, "entries": [{"name": "a", "size": 1}]})
    assert listed(scripts.Script(short, listing)) == [("a", 1), ("b", 2)]
    gone = scripts.answer({"items": []})
    assert listed(scripts.Script(gone, gone, listing)) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("entries", [[1], [{}], [{"name": "a", "size": "x"}], ["a"]])
def test_a_list_that_is_none(entries: list[Any]) -> None:
    with pytest.raises(Unreadable):
        listed(scripts.Script(found({"files": 1, "entries": entries})))
