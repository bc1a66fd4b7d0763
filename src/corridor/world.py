# SPDX-License-Identifier: Apache-2.0
"""What Corridor asks of the outside world: seven small Protocols, nothing that does anything.

`outside` implements them for real life, `sim` for the simulator; code above gets a `World`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC, microseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class Chance(Protocol):
    """Randomness."""

    def bytes(self, count: int) -> bytes:
        """Unguessable bytes."""
        ...

    def uuid7(self) -> str:
        """A fresh UUIDv7 as text; later ones sort behind earlier ones."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One outgoing HTTP request. `purpose`: dsp, did, status, push, plane, upstream."""

    purpose: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    answer_bytes_max: int = 1 << 20
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Its answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Streamed(Protocol):
    """An answer whose body is read block by block."""

    status: int
    headers: Mapping[str, str]

    def blocks(self) -> AsyncIterator[bytes]:
        """The body; raises FetchFailed where the connection breaks."""
        ...


class Net(Protocol):
    """HTTP to others, guarded. Raises FetchFailed and nothing else."""

    async def fetch(self, request: Request) -> Response:
        """The whole answer, at most `answer_bytes_max` bytes of it."""
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[Streamed]:
        """The answer as a stream of at most `answer_bytes_max` bytes.

        There is no total time: `timeout_s` is the longest silence.
        """
        ...

    async def check(self, url: str, purpose: str) -> None:
        """Whether this address may be called at all; raises FetchFailed(refused-address)."""
        ...


class Keys(Protocol):
    """Private keys that never leave. A key is named by its kid."""

    def sign(self, kid: str, data: bytes) -> bytes:
        """Raw signature (ES256: r‖s, 64 bytes; Ed25519; ML-DSA-44)."""
        ...

    def public(self, kid: str) -> bytes:
        """Raw public key (P-256: uncompressed point, 65 bytes; Ed25519: 32; ML-DSA-44: 1,312)."""
        ...

    def hmac(self, kid: str, data: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        ...

    def seal(self, context: str, data: bytes) -> bytes:
        """AES-256-GCM under the master key, `context` as associated data."""
        ...

    def open(self, context: str, data: bytes) -> bytes:
        """The inverse; raises Refused where the bytes or the context are not the sealed ones."""
        ...

    def create(self, alg: str, context: str) -> tuple[bytes, bytes]:
        """A fresh key of `ES256`, `Ed25519`, `ML-DSA-44` or `HMAC`: (public, sealed private)."""
        ...

    def load(self, kid: str, alg: str, context: str, sealed: bytes) -> None:
        """Make a sealed private key usable under `kid`."""
        ...


class Disk(Protocol):
    """Files of the node's data folder; paths are relative to it."""

    def connect(self, name: str, *, read_only: bool = False) -> Any:
        """A bare `sqlite3.Connection` with this node's settings."""
        ...

    def read(self, name: str) -> bytes | None:
        """The whole small file, None where there is none."""
        ...

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write, sync, rename: either the old or the new content stands."""
        ...

    def delete(self, name: str) -> None:
        """Remove the file if it is there."""
        ...

    def free(self) -> int:
        """Free bytes of the file system."""
        ...

    def path(self, name: str) -> Path:
        """Where it lies, for a room or a stream of a file."""
        ...


class Rooms(Protocol):
    """Where heavy or hostile work runs. `work` is a dotted name, `args` what it is given."""

    def run(
        self,
        work: str,
        args: Mapping[str, Any],
        *,
        reads: tuple[Path, ...] = (),
        seconds: float = 30.0,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Frames that the work sends; raises Refused, or FetchFailed(timeout) at its deadline."""
        ...

    async def close(self) -> None:
        """Kill what still runs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside, handed to whoever needs a part of it."""

    clock: Clock
    chance: Chance
    net: Net
    keys: Keys
    disk: Disk
    rooms: Rooms


Task = Callable[[], Awaitable[None]]
