# SPDX-License-Identifier: Apache-2.0
"""Where files lie, as the plane sees it: one file or a folder, on a disk or in an object store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from corridor.errors import NotFound

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file as it is now. `digest`: SHA-256 of all of it, hex, where that can be known before.

    `etag` is the whole header value; `stamp` changes whenever the content may have changed;
    `suffix` (`.csv`) says the media type, also of a single file, which has no name here.
    """

    name: str
    size: int
    stamp: str
    etag: str
    modified: datetime
    suffix: str
    digest: str | None = None


class Place(Protocol):
    """A source that was checked."""

    folder: bool

    async def find(self, name: str) -> Found:
        """One file; NotFound where there is none. The name of a single file is empty."""
        ...

    async def all(self, most: int) -> list[Found]:
        """All files by name, at most so many; digests only where they are known already."""
        ...

    def blocks(self, found: Found, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes start to stop (exclusive) in blocks of at most 1 MiB.

        Refused(source-changed) as soon as it is no longer the file that was found.
        """
        ...


def checked(name: str, bytes_max: int) -> str:
    """A relative name below a folder; NotFound for anything that leads elsewhere or is hidden."""
    parts = name.split("/")
    odd = any(part.startswith(".") or "\\" in part or not part.isprintable() for part in parts)
    if "" in parts or odd or len(name.encode(errors="replace")) > bytes_max:
        raise NotFound("no such file")
    return name
