# SPDX-License-Identifier: Apache-2.0
"""How files are served: found, judged, begun, then sent block by block.

`GET /` is the file, or of a folder its listing as JSON; `GET /<name>` is a file of a folder. What
leaves is named by the digest of the whole, known before, so a range costs no hashing (evidence.md
3.1).
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import format_datetime
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from corridor.errors import Invalid, PeerMustWait
from corridor.limits import KiB, Limits
from corridor.policy.judge import Facts
from corridor.policy.permit import Permit
from corridor.policy.profile import PURPOSES
from corridor.rooms import places
from corridor.services import Act, Answer, Known, Look, Offered, Opened, PlaneRequest, Visit
from corridor.services.files.disk import Digests, Disk
from corridor.services.files.place import BLOCK_BYTES, Found, Place
from corridor.services.files.ranges import CONDITIONS, Part, part

_IDSA_HTTP = "https://w3id.org/idsa/v4.1/HTTP"
# What is handed over at once cannot be cut: no more than a connection buffers anyway.
_SMALL_BYTES = 64 * KiB
_OBJECTS = "corridor.services.files.objects"
_types = MimeTypes()  # the built-in table only: what a file is must not hang on the machine

OpenPlace = Callable[[Mapping[str, Any], Limits], Place]


class Files:
    """The service `files` (see `services.Service`): one action, read."""

    name = "files"
    actions = frozenset({"use", "read"})
    # All of them are the judge's business; bytes are counted as they leave.
    operands = frozenset(
        {
            "purpose", "dateTime", "elapsedTime", "spatial", "recipient", "credential", "claim",
            "approval", "count",
        }
        | {
            f"{noun}Per{window}"
            for noun in ("requests", "bytes")
            for window in ("Minute", "Hour", "Day", "Week", "Month", "Year", "Agreement")
        }
    )  # fmt: skip
    pull_formats = ("HttpData-PULL",)
    push_formats = ("HttpData-PUSH",)

    def __init__(
        self, *, limits: Limits, roots: Sequence[Path], objects: OpenPlace | None = None
    ) -> None:
        """`objects`: what opens a source that is a URL; where None, obstore, at its first use."""
        self._limits = limits
        self._roots = tuple(roots)
        self._objects = objects
        self._digests = Digests(limits)

    async def look(self, source: Mapping[str, Any]) -> Look:
        """Find and hash all of it. `{path}` or `{url, options?}`; raises Invalid."""
        place = await self._place(source, {})
        if not place.folder:
            return Look(columns=None, detail=_told(await self._found(place, "")))
        most = self._limits.files_per_folder_max
        listed = await place.all(most + 1)
        if not 1 <= len(listed) <= most:
            raise Invalid(f"a folder to offer has 1 to {most} files", code="source-files")
        found = [await self._found(place, it.name) for it in listed]
        return Look(
            columns=None,
            detail={
                "files": len(found),
                "size": sum(it.size for it in found),
                "entries": [_told(it) for it in found[: self._limits.files_in_detail_max]],
            },
        )

    async def open(self, sid: str, permit: Permit, offered: Offered) -> Opened:
        """Check that the source is still there; a file that has changed begins to be hashed."""
        del sid, permit
        place = await self._place(offered.source, offered.detail)
        if not place.folder:
            with suppress(PeerMustWait):
                await place.find("")
        return Opened(endpoint_type=_IDSA_HTTP)

    async def close(self, sid: str) -> None:
        """Nothing is kept for a session."""

    async def answer(self, visit: Visit, request: PlaneRequest) -> Answer:
        """GET and HEAD, with conditions and a range. `request.path` is decoded."""
        if request.method not in {"GET", "HEAD"}:
            return Answer(status=405, headers={"allow": "GET, HEAD"})
        name = request.path.removeprefix("/")
        most = 0 if request.pushed or request.method == "HEAD" else _SMALL_BYTES
        place, found, content = await self._look_up(visit.offered, name, most)
        if found is None:
            return await self._listing(visit, request, place)
        asked = part(request.headers, etag=found.etag, size=found.size)
        facts = _facts(visit, asked.stop - asked.start if asked.status in {200, 206} else 0)
        if request.method == "HEAD" or asked.status not in {200, 206}:
            await self._allowed(visit, facts, _canonical(request, name, asked))
            length = asked.stop - asked.start if asked.status in {200, 206} else 0
            headers = _headers(found, visit.offered.asset_id, asked)
            return Answer(status=asked.status, headers=headers, length=length)
        if content is not None and found.digest:
            content = content[asked.start : asked.stop]
            return await self._small(visit, request, found=found, asked=asked, content=content)
        return await self._content(visit, request, place=place, found=found, asked=asked)

    async def find(self, offered: Offered, name: str = "") -> Found:
        """A file to push: size, digest, media type by name. For the engine's push job."""
        place = await self._place(offered.source, offered.detail)
        return await place.find(name)

    async def blocks(
        self, offered: Offered, name: str = "", start: int = 0
    ) -> AsyncIterator[bytes]:
        """Its content from `start`, in blocks of at most 1 MiB. For the engine's push job."""
        place = await self._place(offered.source, offered.detail)
        found = await place.find(name)
        async for block in place.blocks(found, start, found.size):
            yield block

    # --- answers --------------------------------------------------------------------------------

    async def _content(
        self,
        visit: Visit,
        request: PlaneRequest,
        *,
        place: Place,
        found: Found,
        asked: Part,
    ) -> Answer:
        length = asked.stop - asked.start
        act = await visit.begin(
            "file",
            _facts(visit, length),
            request=_canonical(request, found.name, asked),
            # Where the digest cannot be known before, what is sent is hashed on the way.
            hashed=found.digest is None,
            bytes_max=length,
        )
        return Answer(
            status=asked.status,
            headers=_headers(found, visit.offered.asset_id, asked),
            body=place.blocks(found, asked.start, asked.stop),
            length=length,
            act=act,
            record=_record(found, asked) if found.digest else None,
        )

    async def _small(
        self, visit: Visit, request: PlaneRequest, *, found: Found, asked: Part, content: bytes
    ) -> Answer:
        """What is short is known before it leaves: one receipt in one unit (evidence.md 3.2)."""
        act = await visit.begin(
            "file",
            _facts(visit, len(content)),
            request=_canonical(request, found.name, asked),
            hashed=False,
            known=Known(content=content, record=_record(found, asked)),
        )
        headers = _headers(found, visit.offered.asset_id, asked)
        return Answer(
            status=asked.status, headers=headers, body=content, length=len(content), act=act
        )

    async def _listing(self, visit: Visit, request: PlaneRequest, place: Place) -> Answer:
        listed = await place.all(self._limits.files_per_folder_max)
        body = msgspec.json.encode({"entries": [_entry(it) for it in listed]})
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        whole = Part(200, 0, len(body))
        canonical = _canonical(request, "", whole)
        if request.method == "HEAD":
            await self._allowed(visit, _facts(visit, 0), canonical)
            return Answer(status=200, headers=headers, length=len(body))
        # A listing is content too: names and sizes leave under a receipt.
        small = len(body) <= 1 << 20
        act = await visit.begin(
            "file",
            _facts(visit, len(body)),
            request=canonical,
            hashed=True,
            known=Known(content=body) if small else None,
            bytes_max=None if small else len(body),
        )
        told = body if small else _blocks(body)  # only what is streamed is counted block by block
        return Answer(status=200, headers=headers, body=told, length=len(body), act=act)

    async def _allowed(self, visit: Visit, facts: Facts, canonical: bytes) -> None:
        """For answers without content: nothing is charged, but the judge must agree."""
        told = await visit.explain(facts)
        if told.get("outcome") != "allowed":
            act: Act = await visit.begin("file", facts, request=canonical, hashed=False)
            await act.close("answered", response=b"{}")

    # --- places ---------------------------------------------------------------------------------

    async def _look_up(
        self, offered: Offered, name: str, most: int
    ) -> tuple[Place, Found | None, bytes | None]:
        """The place; the file in it (None: the folder itself); its content up to `most` bytes.

        All of it in one turn of a thread, where it lies on a disk.
        """
        if "url" in offered.source:
            far = await self._place(offered.source, offered.detail)
            return far, None if far.folder and not name else await far.find(name), None

        def look() -> tuple[Disk, Found | None, bytes | None]:
            place = self._disk(offered.source, offered.detail)
            return place, *((None, None) if place.folder and not name else place.take(name, most))

        place, found, content = await asyncio.to_thread(look)
        if found is not None and not found.digest:
            found = await place.find(name)
        return place, found, content

    async def _place(self, source: Mapping[str, Any], detail: Mapping[str, Any]) -> Place:
        if "url" in source and not source.keys() - {"url", "options"}:
            return self._open_objects(source)
        return await asyncio.to_thread(self._disk, source, detail)

    def _disk(self, source: Mapping[str, Any], detail: Mapping[str, Any]) -> Disk:
        if source.keys() - {"path"}:
            raise Invalid("a file's source has path, or url and options", code="source-keys")
        path = places.resolve(source.get("path"), self._roots)
        entries = detail.get("entries", [detail] if "stamp" in detail else [])
        offered = {
            it.get("name", ""): (it["stamp"], it["digest"].removeprefix("sha256:"))
            for it in entries
        }
        return Disk(path, digests=self._digests, limits=self._limits, offered=offered)

    def _open_objects(self, source: Mapping[str, Any]) -> Place:
        if self._objects is None:
            # By name and at first use, since obstore is an extra: a node that serves only its own
            # disk neither has it nor pays for loading it.
            try:
                self._objects = importlib.import_module(_OBJECTS).open_place
            except ImportError:
                raise Invalid(
                    "object stores need the extra: pip install 'corridor[objects]'",
                    code="source-url",
                ) from None
        return self._objects(source, self._limits)

    async def _found(self, place: Place, name: str) -> Found:
        """As `find`, but waiting for the digest however long it takes: a steward asks."""
        if isinstance(place, Disk):
            return await place.find(name, patient=True)
        return await place.find(name)


def media_type(found: Found) -> str:
    """By the name's ending."""
    return _types.guess_type(f"x{found.suffix}")[0] or "application/octet-stream"


def _facts(visit: Visit, length: int) -> Facts:
    purpose = visit.purpose
    return Facts(
        action="read", purpose=PURPOSES.get(purpose, purpose) if purpose else None, bytes=length
    )


def _told(found: Found) -> dict[str, Any]:
    """A file in public detail."""
    told: dict[str, Any] = {"size": found.size, "media_type": media_type(found)}
    if found.name:
        told["name"] = found.name
    if found.digest:
        told |= {"digest": f"sha256:{found.digest}", "stamp": found.stamp}
    return told


def _entry(found: Found) -> dict[str, Any]:
    return {key: value for key, value in _told(found).items() if key != "stamp"}


def _canonical(request: PlaneRequest, name: str, asked: Part) -> bytes:
    """The request's record (evidence.md 3.1)."""
    record: dict[str, Any] = {"method": request.method, "name": name}
    if asked.status == 206:
        record["range"] = f"{asked.start}-{asked.stop - 1}"
    conditions = {key: request.headers[key] for key in CONDITIONS if key in request.headers}
    return msgspec.json.encode({**record, "conditions": conditions}, order="sorted")


async def _blocks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]


def _record(found: Found, asked: Part) -> bytes:
    """The answer's record (evidence.md 3.1)."""
    record: dict[str, Any] = {
        "bytes": asked.stop - asked.start,
        "digest": f"sha256:{found.digest}",
        "size": found.size,
    }
    if asked.status == 206:
        record["range"] = f"{asked.start}-{asked.stop - 1}"
    return msgspec.json.encode(record, order="sorted")


def _headers(found: Found, asset_id: str, asked: Part) -> dict[str, str]:
    headers = {
        "accept-ranges": "bytes",
        "etag": found.etag,
        "last-modified": format_datetime(found.modified, usegmt=True),
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
    }
    if asked.status == 416:
        return {**headers, "content-range": f"bytes */{found.size}"}
    if asked.status in {304, 412}:
        return headers
    # Never a path, and of a single file never the provider's own name for it.
    name = found.name.rpartition("/")[2] or f"{asset_id}{found.suffix}"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers["content-type"] = media_type(found)
    headers["content-disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    if found.digest:
        digest = base64.b64encode(bytes.fromhex(found.digest)).decode()
        headers["repr-digest"] = f"sha-256=:{digest}:"
    if asked.status == 206:
        headers["content-range"] = f"bytes {asked.start}-{asked.stop - 1}/{found.size}"
    return headers
