# SPDX-License-Identifier: Apache-2.0
"""Files of a local disk. Everything that may block runs in a thread; memory is one block a stream.

A digest is taken once and bound to the file's size, time and inode; where these differ the file is
hashed anew before it is served (evidence.md 3.1).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from corridor.errors import Invalid, NotFound, PeerMustWait, Refused
from corridor.limits import Limits
from corridor.services.files.place import BLOCK_BYTES, Found, checked


class Digests:
    """SHA-256 of files, each computed once for a state of it, by one thread at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = threading.Lock()
        self._known: dict[Path, tuple[str, str]] = {}
        self._under_way: dict[Path, asyncio.Task[tuple[str, str]]] = {}

    def known(self, path: Path, stamp: str) -> str | None:
        """The digest, where it was taken in this state."""
        taken = self._known.get(path)
        return taken[1] if taken is not None and taken[0] == stamp else None

    def learn(self, path: Path, stamp: str, digest: str) -> None:
        """Take over a digest from when the file was offered."""
        with self._turn:  # file threads learn too
            if path not in self._known and len(self._known) >= self._limits.file_digests_kept_max:
                self._known.pop(next(iter(self._known)))
            self._known[path] = (stamp, digest)

    async def of(self, path: Path, stamp: str, *, patient: bool = False) -> str:
        """The digest in this state, computed where it is not known.

        PeerMustWait where that takes long (it goes on meanwhile), unless the caller is `patient`.
        """
        known = self.known(path, stamp)
        if known is not None:
            return known
        task = self._under_way.get(path)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(_hash, path))
            self._under_way[path] = task
            task.add_done_callback(lambda done: self._done(path, done))
        try:
            async with asyncio.timeout(None if patient else self._limits.file_digest_wait_s):
                found, digest = await asyncio.shield(task)
        except TimeoutError:
            raise PeerMustWait(
                "the file has changed and is being hashed", retry_after_s=30
            ) from None
        except OSError:
            raise NotFound("no such file") from None
        if found != stamp:
            raise Refused("the file changes while it is read", code="source-changed")
        return digest

    def _done(self, path: Path, task: asyncio.Future[tuple[str, str]]) -> None:
        self._under_way.pop(path, None)
        if not task.cancelled() and task.exception() is None:
            self.learn(path, *task.result())


class Disk:
    """A file, or all plain files of a folder and below it; hidden ones are not there."""

    def __init__(
        self,
        path: Path,
        *,
        digests: Digests,
        limits: Limits,
        offered: Mapping[str, tuple[str, str]],
    ) -> None:
        """`path` is resolved. `offered`: name to (stamp, digest) as they were when offered."""
        try:
            mode = path.stat().st_mode
        except OSError:
            raise Invalid("no such file or folder", code="source-missing") from None
        self.folder = stat.S_ISDIR(mode)
        if not self.folder and not stat.S_ISREG(mode):
            raise Invalid("a source is a plain file or a folder", code="source-path")
        self._path = path
        self._digests = digests
        self._limits = limits
        self._offered = offered

    async def find(self, name: str, *, patient: bool = False) -> Found:
        """One file, with its digest."""
        path, found = await asyncio.to_thread(self._find, name)
        digest = found.digest or await self._digests.of(path, found.stamp, patient=patient)
        return replace(found, digest=digest, etag=f'"{digest}"')

    async def all(self, most: int) -> list[Found]:
        """All files, digests where they are known."""
        return await asyncio.to_thread(self._all, most)

    def blocks(self, found: Found, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read with `pread`, checking size, time and inode with each block."""
        return self._blocks(found, start, stop)

    def take(self, name: str, most: int) -> tuple[Found, bytes | None]:
        """One file as it is now, and all of it where it is short and its digest known. Blocks."""
        path, found = self._find(name)
        if not found.digest or not 0 < found.size <= most:
            return found, None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            raise NotFound("no such file") from None
        try:
            content = _read(descriptor, found.size, 0, found.stamp)
        finally:
            os.close(descriptor)
        if len(content) != found.size:
            raise Refused("the file has changed since it was opened", code="source-changed")
        return found, content

    async def _blocks(self, found: Found, start: int, stop: int) -> AsyncIterator[bytes]:
        path, _ = await asyncio.to_thread(self._find, found.name)
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            while start < stop:
                wanted = min(BLOCK_BYTES, stop - start)
                block = await asyncio.to_thread(_read, descriptor, wanted, start, found.stamp)
                start += len(block)
                yield block
        finally:
            os.close(descriptor)

    def _find(self, name: str) -> tuple[Path, Found]:
        if self.folder != bool(name):
            raise NotFound("no such file")
        try:
            path = self._path
            if name:
                path = (path / checked(name, self._limits.file_path_bytes_max)).resolve(strict=True)
            # A link may lead about inside the folder, never out of it.
            state = path.stat()
            if not path.is_relative_to(self._path) or not stat.S_ISREG(state.st_mode):
                raise NotFound("no such file")
            return path, self._state(path, name, state)
        except (OSError, RuntimeError):
            raise NotFound("no such file") from None

    def _state(self, path: Path, name: str, state: os.stat_result) -> Found:
        stamp = _stamp(state)
        offered = self._offered.get(name)
        if offered is not None and offered[0] == stamp:
            self._digests.learn(path, *offered)
        digest = self._digests.known(path, stamp)
        return Found(
            name=name,
            size=state.st_size,
            stamp=stamp,
            etag=f'"{digest}"' if digest else "",
            modified=datetime.fromtimestamp(state.st_mtime, UTC),
            suffix=path.suffix,
            digest=digest,
        )

    def _all(self, most: int) -> list[Found]:
        found = []
        for name in _names(self._path) if self.folder else [""]:
            try:
                found.append(self._find(name)[1])
            except NotFound:
                continue  # a link that leads out, or a file that has just gone
            if len(found) == most:
                break
        return sorted(found, key=lambda it: it.name)


def _names(folder: Path) -> Iterator[str]:
    """Relative names below a folder; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(it for it in folders if not it.startswith("."))
        relative = Path(place).relative_to(folder)
        for name in sorted(files):
            if not name.startswith(".") and name.isprintable():
                yield (relative / name).as_posix()


def _stamp(state: os.stat_result) -> str:
    """Size, time and inode, not to be read back: it stands beside the digest in public."""
    text = f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _hash(path: Path) -> tuple[str, str]:
    """(stamp, digest); the stamp is of before, and of after only if nothing changed."""
    with path.open("rb", buffering=0) as file:
        before = _stamp(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = _stamp(os.fstat(file.fileno()))
    return (before if before == after else ""), digest


def _read(descriptor: int, count: int, at: int, stamp: str) -> bytes:
    block = os.pread(descriptor, count, at)
    state = os.fstat(descriptor)
    if not block or _stamp(state) != stamp or not stat.S_ISREG(state.st_mode):
        raise Refused("the file has changed since it was opened", code="source-changed")
    return block
