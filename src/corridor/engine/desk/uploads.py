# SPDX-License-Identifier: Apache-2.0
"""Content that a steward puts into the node, and where a source may lie.

Uploads lie below `assets/<participant>/<asset>/` of the data folder; a participant's sources are
never found in another's part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from corridor.engine.ground import Ground, Home
from corridor.errors import Invalid, StoreUnavailable
from corridor.wire.home import Uploaded

FOLDER = "assets"
ASSET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NAME_BYTES_MAX = 200


def asset_id(given: str) -> str:
    """An asset's id as we make them: it is a folder's name and part of addresses."""
    if not ASSET_ID.fullmatch(given):
        raise Invalid(
            "this cannot be an asset's id",
            cause="letters, digits, dot, - and _, beginning with a letter or digit; at most 128",
        )
    return given


def file_name(given: str) -> str:
    """A plain file name: one segment, not hidden, printable."""
    plain = "/" not in given and "\\" not in given and given.isprintable()
    if not plain or not given or given.startswith(".") or len(given.encode()) > NAME_BYTES_MAX:
        raise Invalid(
            "this cannot be a file's name",
            cause=f"one segment, not beginning with a dot, at most {NAME_BYTES_MAX} bytes",
        )
    return given


def sweep(ground: Ground) -> None:
    """Forget uploads that a crash broke off: nobody else writes before the node listens."""
    for home in ground.homes.values():
        folder = ground.world.disk.path(f"{FOLDER}/{home.slug}")
        for draft in folder.glob("*/.*.part"):
            draft.unlink(missing_ok=True)


async def put(
    ground: Ground, home: Home, asset: str, name: str, blocks: AsyncIterator[bytes]
) -> Uploaded:
    """Write it beside its place, sync, and move it there: the old content stands, or the new.

    Raises Invalid(too-large) past the limit, StoreUnavailable where the disk does not take it.
    """
    place = f"{FOLDER}/{home.slug}/{asset_id(asset)}/{file_name(name)}"
    target = ground.world.disk.path(place)
    draft = target.with_name(f".{ground.world.chance.bytes(8).hex()}.part")
    digest, size = hashlib.sha256(), 0
    most, spare = ground.limits.upload_bytes_max, ground.limits.disk_free_write_bytes
    try:
        file = await asyncio.to_thread(_create, draft)
        try:
            async for block in blocks:
                size += len(block)
                if size > most:
                    raise Invalid(f"an upload has at most {most} bytes", code="too-large")
                if ground.world.disk.free() < spare:
                    raise StoreUnavailable("the disk is full", cause=f"under {spare} bytes free")
                digest.update(block)
                await asyncio.to_thread(file.write, block)
            await asyncio.to_thread(_settle, file, draft, target)
        finally:
            await asyncio.to_thread(file.close)
    except OSError as error:
        raise StoreUnavailable("the upload cannot be written", cause=str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(draft.unlink, missing_ok=True)
    return Uploaded(asset=asset, name=name, path=place, bytes=size, sha256=digest.hexdigest())


def _create(draft: Path) -> BinaryIO:
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(draft, flags, 0o600), "wb")


def _settle(file: BinaryIO, draft: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    draft.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def source(ground: Ground, home: Home, given: Mapping[str, Any]) -> dict[str, Any]:
    """A source as its service takes it: `assets/…` becomes where it lies.

    Raises Invalid(source-outside) for a path in another participant's part of the data folder.
    """
    path = given.get("path")
    if not isinstance(path, str):
        return dict(given)
    assets = ground.world.disk.path(FOLDER)
    own = ground.world.disk.path(f"{FOLDER}/{home.slug}")
    if path.startswith(f"{FOLDER}/"):
        path = str(ground.world.disk.path(path))
    if await asyncio.to_thread(_trespasses, path, assets, own):
        raise Invalid("the source lies in another participant's folder", code="source-outside")
    return {**given, "path": path}


def _trespasses(path: str, assets: Path, own: Path) -> bool:
    try:
        real = Path(path).resolve()
        return real.is_relative_to(assets.resolve()) and not real.is_relative_to(own.resolve())
    except (OSError, RuntimeError, ValueError):
        return False  # it cannot be read either: the service says so
