# SPDX-License-Identifier: Apache-2.0
"""Files: found, judged, begun, then sent; ranges, conditions, folders, objects, change."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore
from tests.unit.services.visits import RecordedVisit, content

from corridor.errors import FetchFailed, Invalid, NotFound, PeerMustWait, Refused
from corridor.limits import Limits
from corridor.policy.bounds import FileLimits
from corridor.policy.permit import Permit, Rule, When, Who
from corridor.services import Answer, Offered, PlaneRequest
from corridor.services.files import Files, connect
from corridor.services.files.objects import Objects, open_place

LIMITS = Limits()
BODY = bytes(range(256)) * 10_000  # 2.56 MB: three blocks
DIGEST = hashlib.sha256(BODY).hexdigest()
ETAG = f'"{DIGEST}"'

RULE = Rule(
    key="use-1", action="read", who=Who(), when=When(), purposes=None, approvals=frozenset(),
    quotas=(), limits=FileLimits(),
)  # fmt: skip
PERMIT = Permit(
    agreement="urn:uuid:1", agreement_hash="", terms_hash="", permit_hash="", asset="a",
    provider="did:web:p", consumer="did:web:c", service="files", agreed=None, rules=(RULE,),
    forbid=frozenset(), promises=(), duties=(), notice=timedelta(),
)  # fmt: skip


def visit_to(source: Mapping[str, Any], detail: Any = None, **more: Any) -> RecordedVisit:
    offered = Offered(participant="p", asset_id="points", source=source, detail=detail or {})
    return RecordedVisit(PERMIT, offered, **more)


async def get(
    files: Files, visit: RecordedVisit, path: str = "/", method: str = "GET", **headers: str
) -> tuple[Answer, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = PlaneRequest(method=method, path=path, query="", headers=named, body=b"")
    answer = await files.answer(visit, request)
    return answer, await content(answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "points.csv").write_bytes(BODY)
    (tmp_path / "many" / "sub").mkdir(parents=True)
    (tmp_path / "many" / "ترجمة.txt").write_text("a")
    (tmp_path / "many" / "sub" / "b.json").write_text("{}")
    (tmp_path / "many" / ".hidden").write_text("h")
    (tmp_path / "many" / ".git").mkdir()
    (tmp_path / "many" / ".git" / "config").write_text("h")
    (tmp_path / "many" / "out.txt").symlink_to(tmp_path / "points.csv")
    (tmp_path / "many" / "in.txt").symlink_to(tmp_path / "many" / "ترجمة.txt")
    return tmp_path


def files_of(folder: Path, **limits: Any) -> Files:
    return connect(rooms=None, limits=Limits(**limits), roots=(folder,))  # type: ignore[arg-type]


def one(folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "points.csv")}


def test_a_look_takes_size_type_and_digest(folder: Path) -> None:
    async def test() -> None:
        look = await files_of(folder).look(one(folder))
        assert look.columns is None
        assert look.detail["digest"] == f"sha256:{DIGEST}"
        assert (look.detail["size"], look.detail["media_type"]) == (len(BODY), "text/csv")
        assert str(folder) not in json.dumps(look.detail)

    asyncio.run(test())


def test_the_whole_file(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        visit = visit_to(one(folder), (await files.look(one(folder))).detail)
        answer, body = await get(files, visit)
        assert (answer.status, answer.length, body) == (200, len(BODY), BODY)
        digest = base64.b64encode(bytes.fromhex(DIGEST)).decode()
        assert answer.headers["etag"] == ETAG
        assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["content-disposition"].startswith('attachment; filename="points.csv"')
        (act,) = visit.acts
        assert answer.act is act
        assert (act.begun["act"], act.begun["hashed"]) == ("file", False)
        assert act.begun["facts"].bytes == act.begun["bytes_max"] == len(BODY)
        assert act.begun["facts"].action == "read"
        assert act.begun["request"] == b'{"conditions":{},"method":"GET","name":""}'
        assert answer.record is not None
        assert json.loads(answer.record) == {
            "bytes": len(BODY), "digest": f"sha256:{DIGEST}", "size": len(BODY),
        }  # fmt: skip

    asyncio.run(test())


@pytest.mark.parametrize(
    ("headers", "status", "start", "stop"),
    [
        ({"range": "bytes=0-0"}, 206, 0, 1),
        ({"range": "bytes=1048570-1048590"}, 206, 1048570, 1048591),
        ({"range": "bytes=2559999-"}, 206, 2559999, 2560000),
        ({"range": "bytes=-5"}, 206, 2559995, 2560000),
        ({"range": "bytes=-99999999"}, 206, 0, 2560000),
        ({"range": "bytes=5-99999999"}, 206, 5, 2560000),
        ({"range": "bytes=2560000-"}, 416, 0, 0),
        ({"range": "bytes=-0"}, 416, 0, 0),
        ({"range": "bytes=5-4"}, 200, 0, 2560000),
        ({"range": "bytes=0-1,5-6"}, 200, 0, 2560000),
        ({"range": "bytes=-"}, 200, 0, 2560000),
        ({"range": "lines=0-1"}, 200, 0, 2560000),
        ({"range": "bytes=a-b"}, 200, 0, 2560000),
        ({"range": "bytes=" + "9" * 40 + "-"}, 200, 0, 2560000),
        ({"range": "bytes=0-1", "if_range": ETAG}, 206, 0, 2),
        ({"range": "bytes=0-1", "if_range": '"other"'}, 200, 0, 2560000),
        ({"range": "bytes=0-1", "if_range": f"W/{ETAG}"}, 200, 0, 2560000),
        ({"range": "bytes=0-1", "if_range": "Sun, 22 Nov 2026 08:00:00 GMT"}, 200, 0, 2560000),
        ({"if_none_match": ETAG}, 304, 0, 0),
        ({"if_none_match": f'"a", W/{ETAG}'}, 304, 0, 0),
        ({"if_none_match": "*"}, 304, 0, 0),
        ({"if_none_match": '"a"'}, 200, 0, 2560000),
        ({"if_match": ETAG}, 200, 0, 2560000),
        ({"if_match": '"a"'}, 412, 0, 0),
        ({"if_match": f"W/{ETAG}"}, 412, 0, 0),
    ],
)
def test_ranges_and_conditions(
    folder: Path, headers: dict[str, str], status: int, start: int, stop: int
) -> None:
    async def test() -> None:
        files = files_of(folder)
        visit = visit_to(one(folder))
        answer, body = await get(files, visit, **headers)
        assert (answer.status, body) == (status, BODY[start:stop])
        assert answer.length == stop - start
        assert len(visit.acts) == (1 if status in {200, 206} else 0)
        if status == 206:
            assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
            assert json.loads(record_of(visit, answer))["range"] == f"{start}-{stop - 1}"
            assert json.loads(visit.acts[0].begun["request"])["range"] == f"{start}-{stop - 1}"
        if status == 416:
            assert answer.headers["content-range"] == f"bytes */{len(BODY)}"
        head, nothing = await get(files, visit, method="HEAD", **headers)
        assert (head.status, nothing, head.headers) == (status, b"", answer.headers)
        assert head.length == stop - start

    asyncio.run(test())


def test_what_has_no_content_is_judged_too_and_costs_nothing(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        for path, source in (("/", one(folder)), ("/", {"path": str(folder / "many")})):
            visit = visit_to(source, says=lambda facts: "time")
            for method in ("GET", "HEAD"):
                with pytest.raises(Refused):
                    await get(files, visit, path, method=method)
            assert not visit.acts
        answer, _ = await get(files, visit_to(one(folder)), method="POST")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")

    asyncio.run(test())


def test_a_download_broken_off_can_be_resumed(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        visit = visit_to(one(folder))
        answer = await files.answer(
            visit, PlaneRequest(method="GET", path="/", query="", headers={}, body=b"")
        )
        got = b""
        async for block in answer.body:  # type: ignore[union-attr]
            assert len(block) == 1 << 20
            got += block
            break
        await answer.body.aclose()  # type: ignore[union-attr]
        _, rest = await get(
            files, visit, range=f"bytes={len(got)}-", if_range=answer.headers["etag"]
        )
        assert got + rest == BODY

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counts, needs no paths
    asyncio.run(test())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # the same


def test_a_folder_lists_and_serves_its_plain_files(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        source = {"path": str(folder / "many")}
        look = await files.look(source)
        names = ["in.txt", "sub/b.json", "ترجمة.txt"]
        assert [it["name"] for it in look.detail["entries"]] == names
        assert (look.detail["files"], look.detail["size"]) == (3, 4)
        visit = visit_to(source, look.detail)
        answer, body = await get(files, visit)
        entries = json.loads(body)["entries"]
        assert [it["name"] for it in entries] == names
        assert entries[1] == {
            "name": "sub/b.json", "size": 2, "media_type": "application/json",
            "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
        }  # fmt: skip
        assert visit.acts[0].begun["known"].content == body
        assert visit.acts[0].begun["hashed"] is True
        _, got = await get(files, visit, "/ترجمة.txt")
        assert got == b"a"
        _, got = await get(files, visit, "/in.txt")
        assert got == b"a"
        answer, got = await get(files, visit, "/sub/b.json")
        assert (got, answer.headers["content-type"]) == (b"{}", "application/json")
        assert 'filename="b.json"' in answer.headers["content-disposition"]
        named, _ = await get(files, visit, "/ترجمة.txt")
        assert named.headers["content-disposition"].isascii()

    asyncio.run(test())


@pytest.mark.parametrize(
    "path",
    [
        "/nothere", "/../points.csv", "/sub/../../points.csv", "/.hidden", "/.git/config", "/sub",
        "/sub/", "//etc/passwd", "/sub//b.json", "/./in.txt", "/out.txt", "/a\0b", "/..\\x", "/" + "a" * 2000,
        "/" + "a/" * 600 + "a", "/\udcff", "/etc/passwd", "in.txt/", "/in.txt/x",
    ],
)  # fmt: skip
def test_nothing_else_can_be_reached(folder: Path, path: str) -> None:
    async def test() -> None:
        files = files_of(folder)
        visit = visit_to({"path": str(folder / "many")})
        with pytest.raises(NotFound):
            await get(files, visit, path)
        assert not visit.acts
        with pytest.raises(NotFound):
            await get(files, visit_to(one(folder)), path)

    asyncio.run(test())


def record_of(visit: RecordedVisit, answer: Answer) -> bytes:
    """Of what is short it stands in the one receipt, of the rest it comes at the end."""
    known = visit.acts[0].begun["known"]
    assert (known is not None) == (isinstance(answer.body, bytes) and answer.record is None)
    return (known.record if known else answer.record) or b""


def test_a_file_that_changed_is_hashed_anew_before_it_is_served(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        detail = (await files.look(one(folder))).detail
        (folder / "points.csv").write_bytes(b"other")
        for again in (files, files_of(folder)):
            visit = visit_to(one(folder), detail)
            answer, body = await get(again, visit)
            digest = hashlib.sha256(b"other").hexdigest()
            assert (body, answer.headers["etag"]) == (b"other", f'"{digest}"')
            assert json.loads(record_of(visit, answer))["digest"] == f"sha256:{digest}"

    asyncio.run(test())


def test_a_digest_taken_when_offered_is_believed_in_the_same_state(folder: Path) -> None:
    async def test() -> None:
        detail = dict((await files_of(folder).look(one(folder))).detail)
        detail["digest"] = "sha256:" + "00" * 32
        answer, _ = await get(files_of(folder), visit_to(one(folder), detail))
        assert answer.headers["etag"] == f'"{"00" * 32}"'

    asyncio.run(test())


def test_a_file_that_changes_while_it_is_sent_breaks_off(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        request = PlaneRequest(method="GET", path="/", query="", headers={}, body=b"")
        answer = await files.answer(visit_to(one(folder)), request)
        body = answer.body
        assert not isinstance(body, bytes)
        await anext(body)
        with (folder / "points.csv").open("r+b") as file:
            file.truncate(1_500_000)
        with pytest.raises(Refused) as caught:
            await anext(body)
        assert caught.value.code == "source-changed"

        answer = await files.answer(visit_to(one(folder)), request)
        (folder / "points.csv").write_bytes(BODY + b"x")
        with pytest.raises(Refused):
            await content(answer)

    asyncio.run(test())


def test_a_long_hash_does_not_hold_the_caller(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder, file_digest_wait_s=0.0)
        with pytest.raises(PeerMustWait):
            await get(files, visit_to(one(folder)))
        patient = await files.look(one(folder))  # joins the hash that is under way
        assert patient.detail["digest"] == f"sha256:{DIGEST}"
        answer, _ = await get(files, visit_to(one(folder)))
        assert answer.status == 200

    asyncio.run(test())


def test_memory_stays_small_whatever_the_size(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        file.truncate(300 << 20)

    async def test() -> None:
        files = files_of(folder)
        visit = visit_to({"path": str(folder / "big.bin")})
        request = PlaneRequest(method="GET", path="/", query="", headers={}, body=b"")
        answer = await files.answer(visit, request)
        tracemalloc.start()
        size = 0
        assert not isinstance(answer.body, bytes)
        async for block in answer.body:
            size += len(block)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == 300 << 20
        assert peak < 8 << 20

    asyncio.run(test())


def test_sources_that_cannot_be(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x"
    outside.write_text("x")
    (folder / "leads-out").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    (folder / "empty").mkdir()

    async def test() -> None:
        for source, code in (
            ({"path": str(outside)}, "source-outside"),
            ({"path": str(folder / "leads-out")}, "source-outside"),
            ({"path": str(folder) + "/../outside"}, "source-missing"),
            ({"path": "relative"}, "source-path"),
            ({"path": str(folder / "pipe")}, "source-path"),
            ({"path": str(folder / "nothere")}, "source-missing"),
            ({"path": "a\0b"}, "source-path"),
            ({}, "source-path"),
            ({"path": str(folder), "more": 1}, "source-keys"),
            ({"path": str(folder / "empty")}, "source-files"),
            ({"url": "https://example.com/x"}, "source-url"),
            ({"url": "file:///etc/passwd"}, "source-url"),
            ({"url": 5}, "source-url"),
            ({"url": "s3://bucket/x", "options": {"a": {}}}, "source-url"),
            ({"url": "s3://bucket/x", "options": {"no_such_option": "1"}}, "source-url"),
            ({"url": "s3://bucket/x", "options": {"timeout": "1s"}}, "source-url"),
        ):
            with pytest.raises(Invalid) as caught:
                await files_of(folder).look(source)
            assert caught.value.code == code, source
        with pytest.raises(Invalid):
            await files_of(folder, files_per_folder_max=2).look({"path": str(folder / "many")})

    asyncio.run(test())


def test_blocks_for_a_push_begin_anywhere(folder: Path) -> None:
    async def test() -> None:
        files = files_of(folder)
        offered = visit_to(one(folder)).offered
        found = await files.find(offered)
        assert (found.size, found.digest) == (len(BODY), DIGEST)
        for start in (0, 1, 1 << 20, len(BODY) - 1, len(BODY)):
            got = b"".join([block async for block in files.blocks(offered, start=start)])
            assert got == BODY[start:]
        many = visit_to({"path": str(folder / "many")}).offered
        assert [it async for it in files.blocks(many, "sub/b.json")] == [b"{}"]

    asyncio.run(test())


# --- object stores ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_objects_are_served_like_files(tmp_path: Path, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else LocalStore(tmp_path)
    obstore.put(store, "points.csv", BODY)
    obstore.put(store, "sub/b.json", b"{}")
    obstore.put(store, ".hidden/c", b"h")

    def open_here(source: Mapping[str, Any], limits: Limits) -> Objects:
        return Objects(store, name=source["url"].rpartition("/")[2], limits=limits)

    async def test() -> None:
        files = Files(limits=LIMITS, roots=(), objects=open_here)
        single = {"url": "s3://bucket/points.csv"}
        look = await files.look(single)
        assert look.detail == {"size": len(BODY), "media_type": "text/csv"}
        visit = visit_to(single, look.detail)
        answer, body = await get(files, visit)
        assert body == BODY
        assert visit.acts[0].begun["hashed"] is True
        assert answer.record is None
        assert "repr-digest" not in answer.headers
        etag = answer.headers["etag"]
        answer, body = await get(files, visit, range="bytes=100-1100000", if_range=etag)
        assert (answer.status, body) == (206, BODY[100:1100001])
        obstore.put(store, "points.csv", BODY[::-1])
        answer, _ = await get(files, visit, range="bytes=100-110", if_range=etag)
        assert answer.status == 200

        many = visit_to({"url": "s3://bucket/"})
        _, listed = await get(files, many)
        names = [it["name"] for it in json.loads(listed)["entries"]]
        assert names == ["points.csv", "sub/b.json"]
        assert (await get(files, many, "/sub/b.json"))[1] == b"{}"
        for path in ("/nothere", "/../x", "/.hidden/c"):
            with pytest.raises(NotFound):
                await get(files, many, path)

        request = PlaneRequest(method="GET", path="/", query="", headers={}, body=b"")
        answer = await files.answer(visit, request)
        obstore.put(store, "points.csv", b"changed")
        with pytest.raises(Refused) as caught:
            await content(answer)
        assert caught.value.code == "source-changed"
        got = [it async for it in files.blocks(visit.offered, start=3)]
        assert got == [b"nged"]

    asyncio.run(test())


def test_an_object_store_that_is_away_is_said_without_its_words() -> None:
    options = {
        "endpoint": "http://127.0.0.1:9", "allow_http": True, "region": "x",
        "access_key_id": "SECRETID", "secret_access_key": "SECRETKEY",
    }  # fmt: skip
    source = {"url": "s3://bucket/key", "options": options}

    async def test() -> None:
        place = open_place(source, LIMITS)
        with pytest.raises(FetchFailed) as caught:
            await place.find("")
        assert "SECRET" not in repr(caught.value)
        assert "127.0.0.1" not in str(caught.value)

    asyncio.run(test())
