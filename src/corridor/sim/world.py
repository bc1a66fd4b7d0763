# SPDX-License-Identifier: Apache-2.0
"""A node's world without the network: clock, chance, keys, disk and rooms, all from one seed.

Each call passes a numbered point of the node's life, so a crash may lie before or behind it.
What must outlive a crash (folder, master key) hangs on the node's name; what must not repeat after
it (nonces, ids) on the number of its life as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corridor.errors import FetchFailed, Refused
from corridor.sim.crash import Life, SimConnection

BEGIN = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def draw(*parts: object) -> random.Random:
    """A stream of its own for each use, so that one use more does not shift the others."""
    return random.Random("/".join(str(part) for part in parts))  # noqa: S311 - replayable on purpose


class SimClock:
    """Virtual time with a skew of its own, and jumps of the wall clock."""

    def __init__(self, life: Life, *, skew_s: float = 0.0) -> None:
        self._life = life
        self.skew_s = skew_s

    def now(self) -> datetime:
        """Wall clock of this node."""
        self._life.point("clock.now")
        return self.peek()

    def peek(self) -> datetime:
        """The same for the simulator itself: no point is passed."""
        return BEGIN + timedelta(microseconds=round((self._life.loop.time() + self.skew_s) * 1e6))

    def jump(self, seconds: float) -> None:
        """The wall clock is set; the monotonic one goes on."""
        self.skew_s += seconds

    def monotonic(self) -> float:
        """Virtual seconds."""
        self._life.point("clock.monotonic")
        return self._life.loop.time()

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds pass."""
        await self._life.cross("clock.sleep")
        await asyncio.sleep(seconds)
        await self._life.cross("clock.sleep:done")


class SimChance:
    """Seeded: guessable, and the same in every run."""

    def __init__(self, life: Life, seed: object, clock: SimClock) -> None:
        self._life = life
        self._clock = clock
        self._draw = draw(seed, "chance", life.node, life.number)
        self._last = 0

    def bytes(self, count: int) -> bytes:
        """Bytes of the seed."""
        self._life.point("chance.bytes")
        return self._draw.randbytes(count)

    def uuid7(self) -> str:
        """48 bits of milliseconds, 12 of a counter, 62 of the seed; never before an earlier one."""
        self._life.point("chance.uuid7")
        millis = int(self._clock.peek().timestamp() * 1000)
        self._last = max(self._last + 1, millis << 12)
        stamp, count = self._last >> 12, self._last & 0xFFF
        low = self._draw.getrandbits(62) | (0b10 << 62)
        digits = f"{stamp:012x}7{count:03x}{low:016x}"
        return "-".join(
            (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]),
        )

    def jitter(self) -> float:
        """A number in [0, 1)."""
        self._life.point("chance.jitter")
        return self._draw.random()


_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes


def _private(alg: str, raw: bytes) -> _Private:
    if alg == "ES256":
        return ec.derive_private_key(int.from_bytes(raw) % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    if alg == "Ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(raw)
    if alg == "HMAC":
        return raw
    # ML-DSA draws chance inside the library: a run with it could not be replayed.
    raise Refused(f"{alg} keys are not simulated")


def public_of(private: _Private) -> bytes:
    """Raw public key: P-256 uncompressed point, Ed25519 32 bytes, nothing for HMAC."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.public_key().public_bytes_raw()
    return b""


def sign_es256(private: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Raw signature, r followed by s, 64 bytes; deterministic (RFC 6979)."""
    der = private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32) + s.to_bytes(32)


class SimKeys:
    """Real signatures with keys of the seed."""

    def __init__(self, life: Life, seed: object) -> None:
        self._life = life
        self._draw = draw(seed, "keys", life.node, life.number)
        self._master = AESGCM(hashlib.sha256(f"{seed}/master/{life.node}".encode()).digest())
        self._keys: dict[str, _Private] = {}

    def _key(self, kid: str) -> _Private:
        if kid not in self._keys:
            raise Refused(f"no key {kid}")
        return self._keys[kid]

    def sign(self, kid: str, data: bytes) -> bytes:
        """Raw signature."""
        self._life.point("keys.sign")
        private = self._key(kid)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return sign_es256(private, data)
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign(data)
        raise Refused(f"{kid} does not sign")

    def public(self, kid: str) -> bytes:
        """Raw public key."""
        self._life.point("keys.public")
        return public_of(self._key(kid))

    def hmac(self, kid: str, data: bytes) -> bytes:
        """HMAC-SHA-256."""
        self._life.point("keys.hmac")
        private = self._key(kid)
        if not isinstance(private, bytes):
            raise Refused(f"{kid} is no HMAC key")
        return hmac.digest(private, data, "sha256")

    def seal(self, context: str, data: bytes) -> bytes:
        """AES-256-GCM; nonce (12 bytes) of the seed, then the sealed bytes."""
        self._life.point("keys.seal")
        nonce = self._draw.randbytes(12)
        return nonce + self._master.encrypt(nonce, data, context.encode())

    def open(self, context: str, data: bytes) -> bytes:
        """The inverse."""
        self._life.point("keys.open")
        return self.peek(context, data)

    def peek(self, context: str, data: bytes) -> bytes:
        """The same for checkers: no point is passed."""
        try:
            return self._master.decrypt(data[:12], data[12:], context.encode())
        except InvalidTag as error:
            raise Refused("not what was sealed") from error

    def create(self, alg: str, context: str) -> tuple[bytes, bytes]:
        """A fresh key of the seed: (public, sealed private)."""
        self._life.point("keys.create")
        raw = self._draw.randbytes(32)
        return public_of(_private(alg, raw)), self.seal(context, raw)

    def load(self, kid: str, alg: str, context: str, sealed: bytes) -> None:
        """Make it usable."""
        self._life.point("keys.load")
        self._keys[kid] = _private(alg, self.peek(context, sealed))


class SimDisk:
    """A folder in memory; what is committed stays, the rest is lost with the node.

    `fail(word)` is asked before each SQL statement; `full_until` and `broken_until` are virtual
    seconds: until then writes fail as on a full disk, or all statements as on a broken one.
    """

    def __init__(self, life: Life, folder: Path) -> None:
        self._life = life
        self.folder = folder
        self.full_until = 0.0
        self.broken_until = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def _fault(self, word: str) -> sqlite3.Error | None:
        now = self._life.loop.time()
        if now < self.broken_until:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = 10, "SQLITE_IOERR"
            return error
        if now < self.full_until and word in {"INSERT", "UPDATE", "COMMIT", "REPLACE", "CREATE"}:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = 13, "SQLITE_FULL"
            return error
        return None

    def connect(self, name: str, *, read_only: bool = False) -> SimConnection:
        """A connection that dies with the node."""
        self._life.point("disk.connect")
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(
            f"file:{self.path(name)}?mode={mode}",
            uri=True,
            isolation_level=None,
            factory=SimConnection,
        )
        for pragma in (
            "journal_mode = WAL" if not read_only else "query_only = ON",
            "synchronous = OFF",
            "foreign_keys = ON",
            "busy_timeout = 0",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.life = self._life
        connection.fault = self._fault
        self._life.adopt(connection)
        return connection

    def _check_write(self) -> None:
        now = self._life.loop.time()
        if now < max(self.full_until, self.broken_until):
            raise OSError(28, "No space left on device")

    def read(self, name: str) -> bytes | None:
        """The whole file."""
        self._life.point("disk.read")
        path = self.path(name)
        return path.read_bytes() if path.exists() else None

    def write_atomic(self, name: str, data: bytes) -> None:
        """Old or new, never between: the crash lies before or behind."""
        self._life.point("disk.write")
        self._check_write()
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._life.point("disk.write:done")

    def delete(self, name: str) -> None:
        """Remove it if it is there."""
        self._life.point("disk.delete")
        self.path(name).unlink(missing_ok=True)

    def free(self) -> int:
        """Plenty, or nothing."""
        self._life.point("disk.free")
        return 0 if self._life.loop.time() < self.full_until else 1 << 40

    def path(self, name: str) -> Path:
        """Where it lies."""
        return self.folder / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a room answers: `frames` after `seconds`, or a refusal, or its death."""

    frames: tuple[bytes, ...] = ()
    seconds: float = 0.05
    refused: str = ""


@dataclass(slots=True)
class SimRooms:
    """A table of answers by the dotted name of the work; deaths and delays by the seed."""

    life: Life
    seed: object
    table: Mapping[str, Callable[[Mapping[str, Any]], Work]] = field(default_factory=dict)
    death_rate: float = 0.0
    running: int = 0
    _count: int = 0

    @contextlib.asynccontextmanager
    async def run(
        self,
        work: str,
        args: Mapping[str, Any],
        *,
        reads: tuple[Path, ...] = (),
        seconds: float = 30.0,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Frames of the table; FetchFailed(timeout) where the worker dies or is late."""
        del reads
        await self.life.cross("rooms.run")
        if work not in self.table:
            raise Refused(f"no simulated work {work}")
        self._count += 1
        chance = draw(self.seed, "rooms", self.life.node, self.life.number, self._count)
        answer = self.table[work](args)
        dies = chance.random() < self.death_rate
        self.running += 1
        try:
            yield self._frames(answer, dies=dies, seconds=seconds)
        finally:
            self.running -= 1
        await self.life.cross("rooms.run:done")

    async def _frames(self, answer: Work, *, dies: bool, seconds: float) -> AsyncIterator[bytes]:
        if dies or answer.seconds > seconds:
            await asyncio.sleep(seconds)
            raise FetchFailed("the worker did not answer in time", code="timeout")
        await asyncio.sleep(answer.seconds)
        if answer.refused:
            raise Refused("the work was refused", code=answer.refused)
        for frame in answer.frames:
            yield frame

    async def close(self) -> None:
        """Nothing of it outlives the loop."""
        await self.life.cross("rooms.close")
