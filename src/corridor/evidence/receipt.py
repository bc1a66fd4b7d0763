# SPDX-License-Identifier: Apache-2.0
"""Receipts: what an act leaves in the ledger, the proof it travels with, and its offline check.

evidence.md 3.1 to 3.3. A receipt is an entry; its signature is the checkpoint over it; it is handed
out as leaf bytes, salts and a C2SP tlog-proof. `verify` needs nothing but public keys, so the SDK
and the auditor use it as the node does.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from corridor.errors import EvidenceBroken, LocalProtocolError, MalformedEvidence
from corridor.evidence import tree
from corridor.evidence.entry import (
    NONCE_BYTES,
    SALT_BYTES,
    Type,
    body,
    read_leaf,
    slot_digest,
    text_of,
    time_of,
)
from corridor.evidence.note import Cosigned, Note, cosigned, decimal, read_hash
from corridor.evidence.note import verify as verify_note
from corridor.limits import Limits

DEFAULT_LIMITS = Limits()
HEADER = "c2sp.org/tlog-proof@v1"
PATH_MAX = 63

_HASH = re.compile(r"[0-9a-f]{64}")
_COUNTS = frozenset({"bytes_in", "bytes_out", "rows_out", "units"})
_BUDGET = frozenset({"bytes", "epsilon_micro", "money_micro", "queries", "requests", "rho_nano"})
_DISCLOSURE = frozenset({"groups", "level", "noised", "rest", "rounded"})
_BESIDE = frozenset(
    {"cpu_s", "exit", "memory_mb", "objects", "parties", "round", "round_count", "status"}
)


class Word(StrEnum):
    """What kind of act it was."""

    QUERY = "query"
    FILE = "file"
    OBJECT = "object"
    ROUND = "round"
    JOB = "job"
    DELIVERY = "delivery"
    CALL = "call"


class Outcome(StrEnum):
    """How an act ended."""

    ANSWERED = "answered"
    REFUSED = "refused"  # after a charge; `rule` = public name
    BROKEN = "broken"  # the connection
    CUT = "cut"  # by us: withdrawn, suspended, expired; `rule` says which
    FAILED = "failed"  # ours
    UNKNOWN = "unknown"  # after a crash


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is the same in `act.started` and in the receipt that closes it.

    `permit` is the permit hash, hex; `rule` its rule key; `actor` the pseudonym of Corridor-Actor.
    """

    act: str
    agreement: str
    permit: str
    session: str
    provider: str
    consumer: str
    purpose: str | None = None
    rule: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A payload as somebody measured it: its length and salted digest, taken while it passed."""

    length: int
    digest: str

    @classmethod
    def of(cls, salt: bytes, data: bytes) -> Seen:
        """Measure bytes that are all there."""
        return cls(len(data), slot_digest(salt, data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A tlog-proof as read: nothing of it is believed before `verify`."""

    index: int
    path: tuple[bytes, ...]
    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A receipt that verified. `request` and `response`: whether its bytes were compared."""

    entry: Mapping[str, Any]
    time: datetime
    index: int
    number: int | None
    leaf_hash: bytes
    origin: str
    size: int
    root: bytes
    request: bool
    response: bool
    cosigned: tuple[Cosigned, ...]


def started(
    act: Act,
    *,
    id: str,  # noqa: A002 - the entry's own word
    time: datetime,
    nonce: bytes,
    request: Seen,
    budget: Mapping[str, int | str] | None = None,
    bytes_max: int | None = None,
) -> bytes:
    """Body of `act.started`: written before the first byte leaves, with the budget reserved."""
    return _body(
        act,
        {"budget": _checked(budget, _BUDGET | {"currency"}), "bytes_max": bytes_max},
        {"request": request},
        type=Type.ACT_STARTED,
        id=id,
        time=time,
        nonce=nonce,
    )


def receipt(
    act: Act,
    *,
    id: str,  # noqa: A002 - the entry's own word
    time: datetime,
    nonce: bytes,
    outcome: Outcome,
    started: datetime,
    counts: Mapping[str, int],
    request: Seen,
    response: Seen | None = None,
    budget: Mapping[str, int | str] | None = None,
    disclosure: Mapping[str, Any] | None = None,
    started_as: str | None = None,
    corrects: str | None = None,
    acts: int | None = None,
    acts_root: bytes | None = None,
    beside: Mapping[str, int] | None = None,
) -> bytes:
    """Body of `receipt`. `time`: last byte sent or given up; `budget`: charged, not refunded.

    An answer has a response digest (or, where many small acts are closed at once, `acts` and
    `acts_root`); what is `unknown` after a crash has none. LocalProtocolError(entry-unfit).
    """
    digested = response is not None or acts_root is not None
    if (outcome is Outcome.ANSWERED and not digested) or (outcome is Outcome.UNKNOWN and digested):
        raise LocalProtocolError(
            "the receipt's digest does not fit its outcome", code="entry-unfit"
        )
    if (acts is None) != (acts_root is None):
        raise LocalProtocolError("acts are counted and proven, or neither", code="entry-unfit")
    return _body(
        act,
        {
            "acts": acts,
            "acts_root": None if acts_root is None else acts_root.hex(),
            "budget": _checked(budget, _BUDGET | {"currency"}),
            "corrects": corrects,
            "counts": _checked(counts, _COUNTS),
            "disclosure": _checked(disclosure, _DISCLOSURE),
            "outcome": outcome.value,
            "started": text_of(started),
            "started_as": started_as,
            **(_checked(beside, _BESIDE) or {}),
        },
        {"request": request, "response": response},
        type=Type.RECEIPT,
        id=id,
        time=time,
        nonce=nonce,
    )


def proof(index: int, hashes: Sequence[bytes], note: str) -> str:
    """The tlog-proof of leaf `index`: its audit path and the signed checkpoint, as they stand."""
    path = "".join(f"{b64encode(it).decode()}\n" for it in hashes)
    return f"{HEADER}\nindex {index}\n{path}\n{note}"


def read_proof(text: str, *, limits: Limits = DEFAULT_LIMITS) -> Proof:
    """Read a tlog-proof; MalformedEvidence. Its `extra` line is not authenticated: dropped."""
    if len(text) > limits.proof_bytes_max:
        raise MalformedEvidence("the proof is too long")
    head, blank, signed = text.partition("\n\n")
    rows = head.split("\n")
    if not blank or rows[0] != HEADER:
        raise MalformedEvidence("not a tlog-proof")
    rows = rows[1:]
    if rows and rows[0].startswith("extra "):
        _check_base64(rows.pop(0).removeprefix("extra "))
    if not rows or not rows[0].startswith("index "):
        raise MalformedEvidence("the proof names no index")
    if len(rows) - 1 > PATH_MAX:
        raise MalformedEvidence("the proof is longer than any tree is high")
    try:
        data = signed.encode()
    except UnicodeEncodeError as error:
        raise MalformedEvidence("the proof holds half a sign") from error
    return Proof(
        index=decimal(rows[0].removeprefix("index ")),
        path=tuple(read_hash(it) for it in rows[1:]),
        note=Note.parse(data, limits=limits),
    )


def verify(
    leaf: bytes,
    proof: str,
    *,
    vkeys: Sequence[str],
    origin: str,
    request: bytes | Seen | None = None,
    response: bytes | Seen | None = None,
    salts: Mapping[str, bytes] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Verified:
    """Check one receipt offline; EvidenceBroken(step) names the first step that fails.

    `vkeys`: the provider's log keys (`keys.verify_chain`) and those of known witnesses. `salts`
    by slot, `request` and `response` as seen by whoever checks; what is not given is not checked,
    and `Verified` says so.
    1. The leaf is canonical, in a known wrapper, and holds a receipt with a nonce of 16 bytes.
    2. The proof can be read and is for the place that the leaf names.
    3. The checkpoint is of this log, signed by its keys, and no known line is false.
    4. The proof leads from the leaf to the root of the checkpoint.
    5. The request is the one whose length and digest the receipt holds.
    6. So is the response.
    """
    with _step(1):
        read = read_leaf(leaf, limits=limits)
        _check_receipt(read.entry)
    with _step(2):
        path = read_proof(proof, limits=limits)
        if path.index != read.index:
            raise EvidenceBroken("the proof is for another place in the ledger")
    with _step(3):
        size, root = verify_note(path.note, vkeys, origin=origin)
        witnesses = cosigned(path.note, vkeys)
    leaf_hash = tree.leaf_hash(leaf)
    with _step(4):
        tree.verify_inclusion(leaf_hash, path.index, size, path.path, root)
    known = salts or {}
    with _step(5):
        _compare(read.entry, "request", request, known)
    with _step(6):
        _compare(read.entry, "response", response, known)
    return Verified(
        entry=read.entry,
        time=time_of(read.entry),
        index=read.index,
        number=read.number,
        leaf_hash=leaf_hash,
        origin=origin,
        size=size,
        root=root,
        request=request is not None,
        response=response is not None,
        cosigned=witnesses,
    )


@contextmanager
def _step(number: int) -> Iterator[None]:
    """Name the step in whatever it raises: unreadable is not verified either."""
    try:
        yield
    except (EvidenceBroken, MalformedEvidence) as error:
        raise EvidenceBroken(error.what, step=number) from error


def _check_receipt(entry: Mapping[str, Any]) -> None:
    if entry["type"] != Type.RECEIPT:
        raise EvidenceBroken("the entry is no receipt")
    if not re.fullmatch(rf"[0-9a-f]{{{2 * NONCE_BYTES}}}", entry["nonce"]):
        raise EvidenceBroken("the entry's nonce is not 16 bytes")


def _compare(
    entry: Mapping[str, Any], slot: str, seen: bytes | Seen | None, salts: Mapping[str, bytes]
) -> None:
    """EvidenceBroken unless the slot is of these bytes; nothing to do where none are given."""
    if seen is None:
        return
    payloads = entry.get("payloads")
    told = payloads.get(slot) if isinstance(payloads, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("digest"), str):
        raise EvidenceBroken(f"the receipt holds no digest of the {slot}")
    if isinstance(seen, bytes):
        salt = salts.get(slot)
        if salt is None or len(salt) != SALT_BYTES:
            raise EvidenceBroken(f"the salt of the {slot} is missing")
        seen = Seen.of(salt, seen)
    same = told.get("bytes") == seen.length and not isinstance(told.get("bytes"), bool)
    if not (same and hmac.compare_digest(told["digest"].encode(), seen.digest.encode())):
        raise EvidenceBroken(f"the {slot} is not the one that the receipt is for")


def _body(
    act: Act,
    fields: Mapping[str, Any],
    slots: Mapping[str, Seen | None],
    **always: Any,
) -> bytes:
    """The entry of an act: its fields without those that are absent."""
    if act.act not in Word.__members__.values() or not _HASH.fullmatch(act.permit):
        raise LocalProtocolError("the act's word or permit hash is wrong", code="entry-unfit")
    payloads = {
        slot: {"bytes": seen.length, "digest": seen.digest}
        for slot, seen in slots.items()
        if seen is not None
    }
    told = {name: getattr(act, name) for name in Act.__dataclass_fields__} | dict(fields)
    present = {name: it for name, it in told.items() if it is not None}
    return body(**always, **present, payloads=payloads)


def _checked(given: Mapping[str, Any] | None, known: frozenset[str]) -> dict[str, Any] | None:
    """Refuse names that the field table of evidence.md 3.1 does not have, and amounts below 0."""
    if given is None:
        return None
    for name, it in given.items():
        if name not in known or (isinstance(it, int) and it < 0):
            raise LocalProtocolError(f"a receipt cannot hold {name} = {it!r}", code="entry-unfit")
    return dict(given)


def _check_base64(text: str) -> None:
    try:
        b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise MalformedEvidence("extra of the proof is not base64") from error
