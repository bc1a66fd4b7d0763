# SPDX-License-Identifier: Apache-2.0
"""Files of an S3, Azure or GCS location, through obstore (extra `objects`).

Imported only where such a source is used: see `plane.Files`. What is remote cannot be hashed
without being fetched, so such files have no digest; what is sent is hashed on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from corridor.errors import FetchFailed, Invalid, NotFound, Refused
from corridor.limits import Limits
from corridor.services.files.place import BLOCK_BYTES, Found, checked

_CLIENT = frozenset({"allow_http", "proxy_url"})  # what obstore calls the client's options
SCHEMES = ("s3://", "az://", "gs://")


def open_place(source: Mapping[str, Any], limits: Limits) -> Objects:
    """`{url, options?}`: one object, or with a final slash all objects below.

    `options` are obstore's (region, endpoint, keys …). Raises Invalid(source-url).
    """
    url, options = source["url"], source.get("options", {})
    plain = isinstance(options, Mapping) and all(
        isinstance(key, str) and isinstance(value, str | bool) for key, value in options.items()
    )
    if not isinstance(url, str) or not url.startswith(SCHEMES) or not plain:
        raise Invalid("give an s3://, az:// or gs:// address and plain options", code="source-url")
    base, _, name = url.rpartition("/")
    config: Any = {key: value for key, value in options.items() if key not in _CLIENT}
    client: Any = {
        "connect_timeout": timedelta(seconds=limits.fetch_connect_s),
        **{key: value for key, value in options.items() if key in _CLIENT},
    }
    retry: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=limits.fetch_total_s)}
    try:
        store = from_url(
            f"{base}/", config=config or None, client_options=client, retry_config=retry
        )
    except BaseException as error:
        # obstore panics on some options, which Python sees as no Exception; its words may hold keys
        if isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime":
            raise _cannot() from None
        raise
    return Objects(store, name=name, limits=limits)


def _cannot() -> Invalid:
    return Invalid("this address cannot be opened with these options", code="source-url")


class Objects:
    """One object (`name`), or all of a store."""

    def __init__(self, store: Any, *, name: str, limits: Limits) -> None:
        self.folder = not name
        self._store = store
        self._name = name
        self._limits = limits

    async def find(self, name: str) -> Found:
        """Ask the store about one object."""
        if self.folder != bool(name):
            raise NotFound("no such file")
        key = checked(name, self._limits.file_path_bytes_max) if name else self._name
        with _told():
            return _found(name, await obstore.head_async(self._store, key))

    async def all(self, most: int) -> list[Found]:
        """List, page by page."""
        if not self.folder:
            return [await self.find("")]
        found: list[Found] = []
        with _told():
            async for page in obstore.list(self._store, chunk_size=min(most, 1000)):
                found += [_found(meta["path"], meta) for meta in page if _shown(meta["path"])]
                if len(found) >= most:
                    break
        return sorted(found[:most], key=lambda it: it.name)

    async def blocks(self, found: Found, start: int, stop: int) -> AsyncIterator[bytes]:
        """Fetch the range, on condition that it is still the same object."""
        if start >= stop:
            return
        options: Any = {"range": (start, stop)}
        with _told():
            meta = await obstore.head_async(self._store, found.name or self._name)
            if _found(found.name, meta).stamp != found.stamp:
                raise Refused("the object has changed since it was opened", code="source-changed")
            if meta["e_tag"] and not meta["e_tag"].startswith("W/"):
                options["if_match"] = meta["e_tag"]
            key = found.name or self._name
            answer = await obstore.get_async(self._store, key, options=options)
            async for chunk in answer.stream(min_chunk_size=BLOCK_BYTES):
                whole = memoryview(chunk)
                for at in range(0, len(whole), BLOCK_BYTES):
                    yield bytes(whole[at : at + BLOCK_BYTES])


def _shown(name: str) -> bool:
    return not any(part.startswith(".") or not part for part in name.split("/"))


def _found(name: str, meta: Mapping[str, Any]) -> Found:
    tag = meta.get("e_tag") or ""
    text = f"{meta['size']}:{tag}:{meta['last_modified'].isoformat()}:{meta.get('version') or ''}"
    stamp = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Found(
        name=name,
        size=meta["size"],
        stamp=stamp,
        # Not the store's own tag: that may be an MD5 of the content, or tell of the provider.
        etag=f'"{stamp}"' if tag else f'W/"{stamp}"',
        modified=meta["last_modified"],
        suffix=PurePosixPath(meta["path"]).suffix,
    )


@contextmanager
def _told() -> Iterator[None]:
    """What the store says becomes ours; its own words, which hold addresses, stay here."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound("no such file") from None
    except (BaseError, OSError, ValueError):
        raise FetchFailed("the object store did not answer", side="home") from None
