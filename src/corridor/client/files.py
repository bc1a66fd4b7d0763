# SPDX-License-Identifier: Apache-2.0
"""Files of a deal: listed, and fetched so that a broken download goes on where it stopped.

What has come lies in `.corridor-<key>.part` beside the target, with the ETag it belongs to. Only a
whole file whose digest is the one that was told gets its name (atomic rename).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

import msgspec

from corridor.client.exchange import TRIES, Ask, Flow, Got, More, Pause, Shut, ask, blocks
from corridor.client.flows import Line, asset_of, decode, path_of, slug
from corridor.client.receipts import Gauge, Promised
from corridor.errors import (
    CorridorError,
    EvidenceBroken,
    Invalid,
    NotFound,
    NotReachable,
    Unreadable,
)
from corridor.evidence.receipt import Seen
from corridor.wire.home import DealView

BLOCK_BYTES = 1 << 20
NAME_CHARS_MAX = 200
AGAIN_S = 1.0
Progress = Callable[[int, int | None], None]
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")
_PART = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a deal. `digest`: `sha256:…`, or empty where it is not known before."""

    name: str
    size: int
    media_type: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that is here now. `request`, `response`: what its (last) receipt should hold."""

    path: Path
    bytes: int
    digest: str
    resumed_at: int
    promised: Promised | None
    response: Seen | None


def list_files(line: Line, deal: DealView) -> Flow[list[RemoteFile]]:
    """What a deal about a folder gives; a deal about one file gives that one, without a name.

    The partner's catalogue says it for nothing; where the asset is no longer in it, or the folder
    is too long for it, the folder is asked (which counts as a request).
    """
    try:
        asset = yield from asset_of(line, deal.partner_did, deal.asset)
    except (NotFound, NotReachable):
        detail: Mapping[str, Any] = {}
    else:
        detail = asset.detail
    if "entries" not in detail and "size" in detail:
        return [_file({"name": "", **detail})]
    entries = detail.get("entries", [])
    if not entries or len(entries) < detail.get("files", 0):
        participant = yield from slug(line)
        path = path_of("file", {"participant": participant, "id": deal.id, "path": ""})
        got = yield from ask(Ask(method="GET", path=path), again=True)
        if "etag" in got.headers:
            return [_file({"name": "", "size": len(got.body)})]
        entries = decode(got.body, dict[str, Any]).get("entries", [])
    return [_file(it) for it in entries]


def _file(told: Any) -> RemoteFile:
    try:
        return RemoteFile(
            name=str(told["name"]),
            size=int(told["size"]),
            media_type=str(told.get("media_type", "")),
            digest=str(told.get("digest", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable("the list of files cannot be read") from error


def fetch(
    line: Line,
    deal: str,
    path: str = "",
    *,
    to: Path | str = ".",
    resume: bool = True,
    progress: Progress | None = None,
) -> Flow[Fetched]:
    """Download a file; EvidenceBroken where its bytes are not the ones that were offered.

    `to`: a folder, or the file's new name. A broken connection is taken up again, 3 times.
    """
    participant = yield from slug(line)
    asked = path_of("file", {"participant": participant, "id": deal, "path": path})
    target = Path(to)
    folder = target if target.is_dir() or str(to).endswith(("/", os.sep)) else target.parent
    folder.mkdir(parents=True, exist_ok=True)
    part = _Partial(folder, f"{deal}|{path}")
    if not resume:
        part.drop()
    for left in range(TRIES - 1, -1, -1):
        try:
            with part.open() as file:
                taken = yield from _take(asked, part, file, progress)
            break
        except NotReachable:
            if not left:
                raise
            yield Pause(AGAIN_S)
        except CorridorError:
            if not part.size():
                part.drop()  # refused before anything came
            raise
    got, gauge, start = taken
    digest = part.digest()
    told = _told_digest(got)
    size = part.size()
    if told and told != digest:
        part.drop()
        raise EvidenceBroken(
            "the file is not the one that was offered",
            cause=f"its SHA-256 is {digest[7:19]}…, told was {told[7:19]}…",
            mend="fetch it again; what came was deleted",
        )
    final = target if folder != target else folder / _name(path, got)
    part.become(final)
    return Fetched(
        path=final,
        bytes=size,
        digest=digest,
        resumed_at=start,
        promised=gauge.promised,
        response=_seen(gauge, told, size, start),
    )


def _take(
    asked: str, part: _Partial, file: IO[bytes], progress: Progress | None
) -> Flow[tuple[Got, Gauge, int]]:
    """Open, and append what comes; (head, measure of this stream, where it began)."""
    start, tag = part.size(), part.tag()
    headers = {"accept": "*/*"}
    if start and tag:
        headers |= {"range": f"bytes={start}-", "if-range": tag}
    try:
        got = yield from blocks(Ask(method="GET", path=asked, headers=headers, wait_s=60.0))
    except Unreadable as error:
        if "range" not in headers:
            raise
        # 416: perhaps all of it was here already, or it shrank. The next try begins anew.
        part.drop()
        raise NotReachable(
            "this part cannot be had", side="home", code="home-unreachable"
        ) from error
    start = _begin(got) if got.status == 206 else 0
    if start != part.size():
        if start:
            yield Shut()
            part.drop()
            raise NotReachable("the node sent another part", side="home", code="home-unreachable")
        file.truncate(0)
    file.seek(0, os.SEEK_END)
    part.set_tag(got.headers.get("etag", ""))
    length = got.headers.get("content-length", "")
    total = start + int(length) if length.isdecimal() else None
    gauge = Gauge(Promised.read(got.headers.get("corridor-receipt", "")))
    done = start
    while block := (yield More()):
        gauge.take(block)
        file.write(block)
        done += len(block)
        if progress is not None:
            progress(done, total)
    if total is not None and done != total:
        raise NotReachable("the download broke off", side="home", code="home-unreachable")
    file.flush()
    os.fsync(file.fileno())
    return got, gauge, start


class _Partial:
    """What has come of a file."""

    def __init__(self, folder: Path, what: str) -> None:
        key = hashlib.sha256(what.encode()).hexdigest()[:16]
        self._path = folder / f".corridor-{key}.part"
        self._tag = folder / f".corridor-{key}.etag"

    def open(self) -> IO[bytes]:
        return self._path.open("ab")

    def size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def tag(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            tag = self._tag.read_text()
            # Only a strong one says that it is the same bytes.
            if tag.startswith('"') and tag.isprintable():
                return tag
        return ""

    def set_tag(self, tag: str) -> None:
        self._tag.write_text(tag)

    def digest(self) -> str:
        with self._path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def become(self, final: Path) -> None:
        try:
            self._path.replace(final)
        except OSError as error:
            raise Invalid(f"{final} cannot be written", cause=error.strerror or "") from error
        self._tag.unlink(missing_ok=True)


def _begin(got: Got) -> int:
    found = _PART.fullmatch(got.headers.get("content-range", ""))
    return int(found[1]) if found else 0


def _told_digest(got: Got) -> str:
    found = _DIGEST.search(got.headers.get("repr-digest", ""))
    return f"sha256:{base64.b64decode(found[1]).hex()}" if found else ""


def _seen(gauge: Gauge, told: str, size: int, start: int) -> Seen | None:
    """What the receipt holds: where the digest was known before, a record names it."""
    promised = gauge.promised
    if promised is None or promised.salt is None:
        return None
    if not told:
        return gauge.seen()
    record: dict[str, Any] = {"bytes": gauge.bytes, "digest": told, "size": size}
    if start:
        record["range"] = f"{start}-{start + gauge.bytes - 1}"
    return Seen.of(promised.salt, msgspec.json.encode(record, order="sorted"))


def _name(path: str, got: Got) -> str:
    """A name for the file: never a path of the other side's, never hidden."""
    told = PurePosixPath(path).name
    if not told:
        disposition = got.headers.get("content-disposition", "")
        found = re.search(r"filename\*=UTF-8''([^;\s]+)", disposition)
        plain = re.search(r'filename="([^"]*)"', disposition)
        told = unquote(found[1]) if found else plain[1] if plain else ""
    name = re.sub(r"[\x00-\x1f\x7f/\\:]", "_", told).lstrip(". ")[:NAME_CHARS_MAX]
    return name or "download"


def listed(files: list[RemoteFile]) -> list[Mapping[str, Any]]:
    """As rows."""
    return [
        {"name": it.name, "size": it.size, "media_type": it.media_type, "digest": it.digest}
        for it in files
    ]
