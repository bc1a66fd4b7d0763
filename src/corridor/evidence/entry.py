# SPDX-License-Identifier: Apache-2.0
"""An entry of the ledger as bytes: canonical JSON, its types, the leaf around it (evidence.md 2.2).

Canonical is RFC 8785 on a subset: objects with ASCII keys, strings, integers below 2**53, booleans
and arrays; no float, no null. A reader hashes the bytes as they lie and refuses those that are not
canonical, so that no two parsers can read one entry in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from corridor.errors import LocalProtocolError, MalformedEvidence
from corridor.limits import Limits

DEFAULT_LIMITS = Limits()
NONCE_BYTES = 16
SALT_BYTES = 32
WRAPPER_BYTES_MAX = 256  # `{"entry":…,"index":…,"number":…,"prior":"…","v":1}` around a body
INTEGER_MAX = (1 << 53) - 1  # RFC 8785: what every JSON reader holds exactly

_TYPE = re.compile(r"[a-z]+(\.[a-z]+(-[a-z]+)*)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_HASH = re.compile(r"[0-9a-f]{64}")
_WRAPPER = frozenset({"entry", "index", "number", "prior", "v"})
_ALWAYS = ("id", "nonce", "time", "type")


class Type(StrEnum):
    """Types of entries that this version writes. Unknown ones are read, kept and never counted."""

    LEDGER_OPENED = "ledger.opened"
    LEDGER_SUCCEEDED = "ledger.succeeded"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_SENT = "message.sent"
    MESSAGE_ACKNOWLEDGED = "message.acknowledged"
    DECISION = "decision"
    APPROVAL = "approval"
    AGREEMENT_CONCLUDED = "agreement.concluded"
    AGREEMENT_WITHDRAWN = "agreement.withdrawn"
    AGREEMENT_RETURNED = "agreement.returned"
    SESSION_OPENED = "session.opened"
    SESSION_SUSPENDED = "session.suspended"
    SESSION_RESUMED = "session.resumed"
    SESSION_CLOSED = "session.closed"
    ACT_STARTED = "act.started"
    RECEIPT = "receipt"
    RECEIPTS_HELD = "receipts.held"
    RECEIPTS_COUNTERSIGNED = "receipts.countersigned"
    RECEIPT_MISSING = "receipt.missing"
    RECEIPT_DISPUTED = "receipt.disputed"
    DUTY_DUE = "duty.due"
    DUTY_FULFILLED = "duty.fulfilled"
    DUTY_OVERDUE = "duty.overdue"
    DUTY_CURED = "duty.cured"
    DUTY_WAIVED = "duty.waived"
    DUTY_BREACHED = "duty.breached"
    KEY_STATED = "key.stated"
    IDENTITY_SEEN = "identity.seen"
    CHECKPOINT_RECEIVED = "checkpoint.received"
    FORK_FOUND = "fork.found"
    PAYLOAD_ERASED = "payload.erased"
    ADMIN_ACTED = "admin.acted"
    CLOCK_JUMPED = "clock.jumped"
    AUDIT_EXPORTED = "audit.exported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf as read: its place in the ledger, its place in its thread, and the entry itself."""

    index: int
    number: int | None
    prior: bytes | None
    entry: dict[str, Any]


def body(
    *,
    id: str,  # noqa: A002 - the entry's own word
    time: datetime,
    type: str,  # noqa: A002 - the entry's own word
    nonce: bytes,
    limits: Limits = DEFAULT_LIMITS,
    **fields: Any,
) -> bytes:
    """Canonical bytes of an entry. Absent is absent: None is refused, as is a float.

    `time` is aware and written in milliseconds UTC; `nonce` is 16 random bytes. Raises
    LocalProtocolError(entry-unfit): what we cannot write down we must not do.
    """
    assert time.tzinfo is not None, "times inside are aware"
    if len(nonce) != NONCE_BYTES or not _TYPE.fullmatch(type):
        raise LocalProtocolError(f"no entry can be of type {type!r}", code="entry-unfit")
    entry = {**fields, "id": id, "nonce": nonce.hex(), "time": text_of(time), "type": type}
    data = canonical(entry, limits=limits)
    if len(data) > limits.entry_bytes_max:
        raise LocalProtocolError(
            f"an entry of {len(data)} bytes is over {limits.entry_bytes_max}", code="entry-unfit"
        )
    return data


def canonical(value: Any, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """RFC 8785 bytes of a value of the subset; LocalProtocolError(entry-unfit) for any other."""
    fault = _fault(value, limits.json_depth_max)
    if fault:
        raise LocalProtocolError(f"an entry cannot hold {fault}", code="entry-unfit")
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeError as error:
        raise LocalProtocolError("an entry cannot hold half a sign", code="entry-unfit") from error


def read_canonical(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The value of canonical bytes; MalformedEvidence for anything else, however close."""
    try:
        value = msgspec.json.decode(data)
        again = (
            b""
            if _fault(value, limits.json_depth_max)
            else msgspec.json.encode(value, order="sorted")
        )
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise MalformedEvidence("not canonical JSON") from error
    if again != data:
        raise MalformedEvidence("not canonical JSON")
    return value


def leaf(body: bytes, *, index: int, number: int | None, prior: bytes | None) -> bytes:
    """The leaf around a body: string concatenation, since sorted keys put `entry` first."""
    assert index >= 0, "indices begin at 0"
    assert (prior is not None) == (number is not None and number > 1), "a chain begins at 1"
    parts = [b'{"entry":', body, b',"index":%d' % index]
    if number is not None:
        parts.append(b',"number":%d' % number)
    if prior is not None:
        parts.append(b',"prior":"%s"' % prior.hex().encode())
    parts.append(b',"v":1}')
    return b"".join(parts)


def read_leaf(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Leaf:
    """Read a leaf; MalformedEvidence for bytes not canonical or a wrapper not known."""
    if len(data) > limits.entry_bytes_max + WRAPPER_BYTES_MAX:
        raise MalformedEvidence("the leaf is too long")
    value = read_canonical(data, limits=limits)
    if not isinstance(value, dict) or not value.keys() <= _WRAPPER:
        raise MalformedEvidence("not the wrapper of a leaf")
    entry: Any = value.get("entry")
    index, number, prior = (value.get(it) for it in ("index", "number", "prior"))
    if not _is_count(value.get("v"), 1) or value["v"] != 1:
        raise MalformedEvidence("a leaf of another version")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(it), str) for it in _ALWAYS):
        raise MalformedEvidence("the entry lacks id, nonce, time or type")
    time_of(entry)
    if not _is_count(index, 0) or not (number is None or _is_count(number, 1)):
        raise MalformedEvidence("the leaf's place cannot be read")
    if (prior is not None) != (number is not None and number > 1):
        raise MalformedEvidence("number and prior of the leaf do not fit")
    if prior is not None and not (isinstance(prior, str) and _HASH.fullmatch(prior)):
        raise MalformedEvidence("prior is not a hash")
    before = None if prior is None else bytes.fromhex(prior)
    return Leaf(index=value["index"], number=number, prior=before, entry=entry)


def thread_of(fields: Mapping[str, Any]) -> str | None:
    """The thread an entry is counted in: its agreement, else its process, else none."""
    thread = fields.get("agreement", fields.get("process"))
    return thread if isinstance(thread, str) else None


def text_of(time: datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss.mmmZ`, milliseconds cut off."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def time_of(entry: Mapping[str, Any], field: str = "time") -> datetime:
    """The entry's time; MalformedEvidence where it is not in the one form that we write."""
    text = entry.get(field)
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise MalformedEvidence(f"{field} of the entry cannot be read")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedEvidence(f"{field} of the entry is no time") from error


def slot_digest(salt: bytes, data: bytes) -> str:
    """SHA-256 of salt (32 random bytes) and payload, hex: `cat salt payload | sha256sum`."""
    assert len(salt) == SALT_BYTES, "each slot has a salt of its own"
    return sha256(salt + data).hexdigest()


def slot(salt: bytes, data: bytes) -> dict[str, Any]:
    """What stands in the clear about a payload: its length and salted digest."""
    return {"bytes": len(data), "digest": slot_digest(salt, data)}


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _fault(value: Any, depth: int) -> str:
    """What of `value` lies outside the subset, in words; empty where nothing does."""
    if isinstance(value, (bool, str)):
        return ""
    if isinstance(value, int):
        return "" if -INTEGER_MAX <= value <= INTEGER_MAX else "so large an integer"
    if not isinstance(value, (dict, list, tuple)):
        return f"a value of type {type(value).__name__}"
    if depth == 0:
        return "something nested so deep"
    if isinstance(value, dict):
        for key in value:
            if not (isinstance(key, str) and key.isascii()):
                return f"the key {key!r}"
        value = value.values()
    return next((fault for it in value if (fault := _fault(it, depth - 1))), "")
