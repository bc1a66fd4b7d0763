# SPDX-License-Identifier: Apache-2.0
"""Receipts in the hands of whoever asked: read, kept in a file, and verified without any network.

The maths is `evidence`'s; here the provider's keys are tied to its DID document, and what passed
through this program is compared with what the provider signed (evidence.md 3.1, 3.3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from corridor.errors import EvidenceBroken, Invalid, MalformedEvidence
from corridor.evidence import keys as key_statements
from corridor.evidence import receipt as evidence
from corridor.evidence.entry import SALT_BYTES, read_leaf
from corridor.evidence.receipt import Seen, Verified
from corridor.wire.home import ReceiptView

FILE_BYTES_MAX = 8 << 20
KeySource: TypeAlias = "Mapping[str, Any] | Path | str"
"""A provider's DID document: as a mapping, or the file that it was saved in."""

_HEADER = re.compile(r'"([^"\\]{1,128})"(?:;salt=:([A-Za-z0-9+/=]{1,64}):)?')


@dataclass(frozen=True, slots=True)
class Promised:
    """What an answer's `Corridor-Receipt` header says: the receipt's id, the response's salt."""

    id: str
    salt: bytes | None

    @classmethod
    def read(cls, header: str) -> Promised | None:
        """None where there is no receipt."""
        found = _HEADER.fullmatch(header.strip())
        if found is None:
            return None
        try:
            salt = base64.b64decode(found[2], validate=True) if found[2] else None
        except binascii.Error:
            salt = None
        return cls(found[1], salt if salt is not None and len(salt) == SALT_BYTES else None)


class Gauge:
    """Measures an answer while it passes, as its receipt will have it."""

    def __init__(self, promised: Promised | None) -> None:
        self.promised = promised
        self._hash = hashlib.sha256(promised.salt) if promised and promised.salt else None
        self.bytes = 0

    def take(self, block: bytes) -> None:
        """Count and hash a block."""
        self.bytes += len(block)
        if self._hash is not None:
            self._hash.update(block)

    def seen(self) -> Seen | None:
        """Length and salted digest of all that passed; None where no salt was told."""
        return None if self._hash is None else Seen(self.bytes, self._hash.hexdigest())


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a receipt."""

    corridor_receipt: int
    receipt: ReceiptView
    request: str | None = None
    response_bytes: int | None = None
    response_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the provider signed about one use. `request`, `response`: as they passed here."""

    view: ReceiptView
    request: bytes | None = None
    response: Seen | None = None

    @property
    def id(self) -> str:
        """The entry's id in the provider's ledger."""
        return self.view.id

    @property
    def entry(self) -> Mapping[str, Any]:
        """The entry, not verified."""
        return read_leaf(self.view.leaf.encode()).entry

    @property
    def act(self) -> str:
        """What was done: query, file or another word."""
        return str(self.entry.get("act", ""))

    @property
    def at(self) -> str:
        """When it ended, ISO 8601, UTC."""
        return str(self.entry.get("time", ""))

    @property
    def by(self) -> str:
        """The provider's DID."""
        return self.view.provider

    @property
    def permit_hash(self) -> str:
        """Which permit allowed it, hex."""
        return str(self.entry.get("permit", ""))

    def verify(self, *, keys: KeySource | None = None) -> Verified:
        """Check it offline; EvidenceBroken(step) names the first step that fails.

        `keys`: the provider's DID document from elsewhere; without, the one that our own node had
        when it handed the receipt out. 1 to 6 are the steps of `evidence.receipt.verify`; before
        them, as step 0: the document and the receipt are of one provider, and the chain of key
        statements is tied to the document's keys.
        """
        try:
            stated = self._keys(self.view.document if keys is None else keys_from(keys))
            salts = {slot: _salt(text) for slot, text in self.view.salts.items()}
        except (MalformedEvidence, ValueError, TypeError, AttributeError) as error:
            raise EvidenceBroken(str(error), step=0) from error
        verified = evidence.verify(
            self.view.leaf.encode(),
            self.view.proof,
            vkeys=(*stated.vkeys, *stated.witnesses),
            origin=stated.origin,
            request=self.request if "request" in salts else None,
            response=self.response,
            salts=salts,
        )
        if verified.entry.get("provider") != self.view.provider:
            raise EvidenceBroken("the receipt is of another provider", step=1)
        return verified

    def _keys(self, document: Mapping[str, Any]) -> key_statements.Stated:
        if document.get("id") != self.view.provider:
            raise EvidenceBroken("the DID document is of another", step=0)
        methods = document.get("verificationMethod", ())
        found = [it["publicKeyJwk"] for it in methods if isinstance(it.get("publicKeyJwk"), dict)]
        return key_statements.verify_chain(self.view.keys, did=self.view.provider, did_keys=found)

    def save(self, path: Path | str) -> Path:
        """Write all that a later verification needs; the file's path."""
        saved = _Saved(
            corridor_receipt=1,
            receipt=self.view,
            request=None if self.request is None else base64.b64encode(self.request).decode(),
            response_bytes=None if self.response is None else self.response.length,
            response_digest=None if self.response is None else self.response.digest,
        )
        target = Path(path)
        target.write_bytes(msgspec.json.format(msgspec.json.encode(saved), indent=2))
        return target

    def _repr_html_(self) -> str:
        rows = {"receipt": self.id, "act": self.act, "at": self.at, "by": self.by}
        cells = "".join(
            f'<tr><th>{name}</th><td dir="auto">{html.escape(it)}</td></tr>'
            for name, it in rows.items()
        )
        return f"<table>{cells}</table>"


def load_receipt(path: Path | str) -> Receipt:
    """A receipt that was saved; Invalid where the file is none."""
    try:
        saved = msgspec.json.decode(_small(path), type=_Saved)
        request = None if saved.request is None else base64.b64decode(saved.request, validate=True)
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(
            f"{path} holds no receipt",
            cause=getattr(error, "strerror", None) or str(error),
            mend="corridor audit receipts DEAL --save FOLDER writes some",
        ) from error
    seen = None
    if saved.response_bytes is not None and saved.response_digest is not None:
        seen = Seen(saved.response_bytes, saved.response_digest)
    return Receipt(view=saved.receipt, request=request, response=seen)


def keys_from(source: KeySource) -> Mapping[str, Any]:
    """A DID document, out of a file where it is not one already; Invalid."""
    if isinstance(source, Mapping):
        return source
    try:
        return msgspec.json.decode(_small(source), type=dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{source} holds no DID document", cause=str(error)) from error


def verify(receipt: Receipt | Path | str, *, keys: KeySource | None = None) -> Verified:
    """Check a receipt, or the file that one was saved in, offline."""
    it = receipt if isinstance(receipt, Receipt) else load_receipt(receipt)
    return it.verify(keys=keys)


def _small(path: Path | str) -> bytes:
    """A file's bytes; ValueError where there are too many."""
    with Path(path).open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"over {FILE_BYTES_MAX} bytes")
    return data


def _salt(text: str) -> bytes:
    """Salts are base64 or hex, 32 bytes."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return bytes.fromhex(text)
    return base64.b64decode(text, validate=True)
