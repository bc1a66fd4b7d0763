# SPDX-License-Identifier: Apache-2.0
"""Routes as a table: method, path, who may call it, and what then happens.

A path is literal segments and `{names}`; a last `{name*}` takes the rest. Every row says who may
call it, so that none is open by accident; a test lists the open ones. A trailing slash is the same
path. Unknown paths are nobody's: 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from corridor.errors import MalformedMessage

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Anyone:
    """No token is asked for; `why` says where that is allowed."""

    why: str


@dataclass(frozen=True, slots=True)
class APeer:
    """Whoever proves a DID (node.md e)."""


@dataclass(frozen=True, slots=True)
class TheCounterparty:
    """The peer of the process that the path names."""

    name: str


@dataclass(frozen=True, slots=True)
class TheSession:
    """The holder of the session's token."""


@dataclass(frozen=True, slots=True, init=False)
class ARole:
    """A person of ours in one of these roles; without any, whoever has a token."""

    roles: frozenset[str]

    def __init__(self, *roles: str) -> None:
        object.__setattr__(self, "roles", frozenset(roles))


Caller = Anyone | APeer | TheCounterparty | TheSession | ARole


@dataclass(slots=True)
class Call:
    """One request, as a route gets it."""

    scope: Scope
    receive: Receive
    send: Send
    names: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The verb: GET, POST and so on."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path as it was asked for."""
        return str(self.scope["path"])

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return bytes(self.scope["query_string"]).decode("latin-1")

    @property
    def source(self) -> str:
        """The caller's address; of IPv6 its network of 64 bits, which is one caller's whole."""
        client = self.scope.get("client")
        return _network(str(client[0])) if client else ""


def _network(address: str) -> str:
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.is_loopback or found.ipv4_mapped is not None:
        return address
    return str(IPv6Address(int(found) >> 64 << 64))


Action = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row."""

    method: str
    path: str
    action: Action
    caller: Caller


class Table:
    """Finds the row of a request: by the number of its segments, then one by one."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[Route, tuple[str, ...]]]] = {}
        self._rest: list[tuple[Route, tuple[str, ...]]] = []
        for route in self.routes:
            parts = tuple(route.path.strip("/").split("/"))
            if parts[-1].endswith("*}"):
                self._rest.append((route, parts))
            else:
                self._by_length.setdefault(len(parts), []).append((route, parts))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The row and the names in its path; None where there is no such row."""
        segments = path.removeprefix("/").removesuffix("/").split("/")
        for route, parts in self._by_length.get(len(segments), ()):
            if route.method == method and (names := _match(parts, segments)) is not None:
                return route, names
        for route, parts in self._rest:
            fits = route.method in (method, "*") and len(segments) >= len(parts) - 1
            if fits and (names := _match(parts[:-1], segments[: len(parts) - 1])) is not None:
                rest = "/".join(segments[len(parts) - 1 :])
                return route, {**names, parts[-1][1:-2]: rest}
        return None


def _match(parts: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    names: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            names[part[1:-1]] = segment
        elif part != segment:
            return None
    return names


def headers_of(scope: Scope) -> dict[str, str]:
    """Header names in lower case to values; of repeated ones the last, but two tokens are none."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        if key in found and key in ("authorization", "host", "content-length"):
            raise MalformedMessage(f"two {key} headers")
        found[key] = value.decode("latin-1")
    return found


async def respond(
    send: Send,
    status: int,
    body: bytes,
    *,
    media: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """A whole answer."""
    told = [
        (b"content-type", media.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
