# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as signed notes: names, verifier keys, lines, and their verification.

C2SP signed-note 1.0.0, tlog-checkpoint 1.0.0, tlog-cosignature 1.1.0-rc.1 (evidence.md 2.1, 2.5). A
checkpoint is three lines, origin, size and root; extension lines are neither written nor accepted.
A log signs with Ed25519 over the text and, where it has stated such a key, with ML-DSA-44 over
`cosigned_message`; a witness signs with its own keys, over text or message with its time.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from corridor.errors import EvidenceBroken, MalformedEvidence
from corridor.limits import Limits

DEFAULT_LIMITS = Limits()
DASH = "\u2014"  # the em dash that begins each signature line
INTEGER_MAX = (1 << 63) - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+]+")
_ID = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_DID_WEB = re.compile(r"did:web:([A-Za-z0-9.-]+(?:%3A[0-9]{1,5})?)((?::[A-Za-z0-9._~-]+)*)")


class Kind(IntEnum):
    """Signature types of C2SP notes that we make and verify."""

    ED25519 = 0x01  # a log, over the text
    COSIGNATURE = 0x04  # a witness, Ed25519, over time and text
    ML_DSA_44 = 0x06  # a log or witness, over `cosigned_message`


PUBLIC_BYTES = {Kind.ED25519: 32, Kind.COSIGNATURE: 32, Kind.ML_DSA_44: 1312}
SIGNATURE_BYTES = {Kind.ED25519: 64, Kind.COSIGNATURE: 8 + 64, Kind.ML_DSA_44: 8 + 2420}
ALGORITHMS = {
    "Ed25519": Kind.ED25519,
    "Ed25519-cosignature": Kind.COSIGNATURE,
    "ML-DSA-44": Kind.ML_DSA_44,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line; `signature` is what follows the key id (a time before it, or not)."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A vkey as read."""

    name: str
    key_id: bytes
    kind: Kind
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `<name>+<key id>+<base64 of type and public key>`; MalformedEvidence."""
        name, plus, rest = text.partition("+")
        hexed, plus_too, encoded = rest.partition("+")
        if not (plus and plus_too and _NAME.fullmatch(name) and _ID.fullmatch(hexed)):
            raise MalformedEvidence("not a verifier key")
        data = _base64(encoded)
        if not data or data[0] not in Kind.__members__.values():
            raise MalformedEvidence("a verifier key of an unknown kind")
        kind, public = Kind(data[0]), data[1:]
        if len(public) != PUBLIC_BYTES[kind]:
            raise MalformedEvidence("a verifier key of a wrong length")
        if key_id(name, kind, public).hex() != hexed:
            raise MalformedEvidence("the id of the verifier key is not its own")
        return cls(name, bytes.fromhex(hexed), kind, public)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """Who countersigned a checkpoint, and when by its own clock (POSIX seconds)."""

    name: str
    time: int


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint as read: nothing of it is believed before `verify`."""

    text: str
    lines: tuple[Line, ...]
    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Note:
        """Read a signed checkpoint; MalformedEvidence for what we would write otherwise."""
        if len(data) > limits.note_bytes_max:
            raise MalformedEvidence("the note is too long")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise MalformedEvidence("the note is not UTF-8") from error
        if _CONTROL.search(whole):
            raise MalformedEvidence("the note holds a control character")
        text, blank, signed = whole.partition("\n\n")
        rows = signed.split("\n")
        if not blank or len(rows) < 2 or rows.pop() != "":
            raise MalformedEvidence("the note has no signature lines")
        if len(rows) > limits.note_lines_max:
            raise MalformedEvidence("the note has too many signature lines")
        origin_, size, root = _read_text(text)
        return cls(text + "\n", tuple(_read_line(it) for it in rows), origin_, size, root)


def origin(did: str, epoch: int = 1) -> str:
    """The ledger's name: `did:web:stat.example:eg` -> `stat.example/eg/ledger/1`."""
    return f"{_place(did)}/ledger/{epoch}"


def witness_name(did: str) -> str:
    """The name it countersigns under: `did:web:stat.example:eg` -> `stat.example/eg/witness`."""
    return f"{_place(did)}/witness"


def key_id(name: str, type_byte: int, public: bytes) -> bytes:
    """First 4 bytes of SHA-256 over name, newline, type and public key."""
    return sha256(name.encode() + b"\n" + bytes([type_byte]) + public).digest()[:4]


def vkey(name: str, alg: str, public: bytes) -> str:
    """The verifier key of a raw public key; `alg` is one of `ALGORITHMS`."""
    kind = ALGORITHMS[alg]
    assert len(public) == PUBLIC_BYTES[kind], "a raw public key"
    assert _NAME.fullmatch(name), "names hold neither blanks nor plus"
    encoded = b64encode(bytes([kind]) + public).decode()
    return f"{name}+{key_id(name, kind, public).hex()}+{encoded}"


def checkpoint(origin: str, size: int, root: bytes) -> str:
    """The text that is signed: three lines, each ended by a newline."""
    assert _NAME.fullmatch(origin), "an origin is a key name"
    assert 0 <= size <= INTEGER_MAX, "a size is a u63"
    assert len(root) == 32, "a root is a hash"
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n"


def cosignature_text(text: str, time: int) -> bytes:
    """What a witness signs with Ed25519: a header, its time (POSIX seconds), the text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosigned_message(name: str, time: int, origin: str, size: int, root: bytes) -> bytes:
    """What a log or witness called `name` signs with ML-DSA-44 over a whole tree."""
    signer, log = name.encode(), origin.encode()
    assert 0 < len(signer) < 256, "names are at most 255 bytes"
    assert 0 < len(log) < 256, "names are at most 255 bytes"
    assert 0 <= time <= INTEGER_MAX, "a time is a u63"
    return b"".join(
        [
            b"subtree/v1\n\x00",
            bytes([len(signer)]) + signer,
            time.to_bytes(8, "big"),
            bytes([len(log)]) + log,
            (0).to_bytes(8, "big"),
            size.to_bytes(8, "big"),
            root,
        ]
    )


def timestamped(time: int, signature: bytes) -> bytes:
    """The signature of a line of kind COSIGNATURE or ML_DSA_44: time (u64) before the raw bytes."""
    return time.to_bytes(8, "big") + signature


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """One line, newline included. With a time in it, give what `timestamped` made."""
    return f"{DASH} {name} {b64encode(key_id + signature).decode()}\n"


def note(text: str, lines: Sequence[str]) -> str:
    """The signed note: text, blank line, signature lines."""
    return text + "\n" + "".join(lines)


def verify(note: Note, vkeys: Sequence[str], *, origin: str) -> tuple[int, bytes]:
    """(size, root) of a checkpoint that the log `origin` signed; EvidenceBroken where it did not.

    `vkeys` are keys of the log and, where wanted, of witnesses. In order:
    1. the note is of this log;
    2. every line whose name and key id we know verifies;
    3. at least one of the log's Ed25519 lines is among them;
    4. where the log has an ML-DSA-44 key, one such line too: nobody strips it.
    """
    # (1)
    if note.origin != origin:
        raise EvidenceBroken(f"the checkpoint is of another log: {note.origin}")
    # (2)
    keys = [VerifierKey.parse(it) for it in vkeys]
    signed: set[Kind] = set()
    for key in keys:
        for line in _lines_of(note, key):
            if not _holds(note, key, line):
                raise EvidenceBroken(f"a line of {key.name} does not verify")
            if key.name == origin:
                signed.add(key.kind)
    # (3)
    if Kind.ED25519 not in signed:
        raise EvidenceBroken("no line of a known log key")
    # (4)
    if Kind.ML_DSA_44 not in signed and any(
        it.kind is Kind.ML_DSA_44 and it.name == origin for it in keys
    ):
        raise EvidenceBroken("the ML-DSA-44 line is missing")
    return note.size, note.root


def cosigned(note: Note, vkeys: Sequence[str]) -> tuple[Cosigned, ...]:
    """The countersignatures of known witnesses, verified; EvidenceBroken where one is false."""
    found: list[Cosigned] = []
    for key in map(VerifierKey.parse, vkeys):
        if key.name == note.origin or key.kind is Kind.ED25519:
            continue
        for line in _lines_of(note, key):
            if not _holds(note, key, line):
                raise EvidenceBroken(f"a line of {key.name} does not verify")
            found.append(Cosigned(key.name, int.from_bytes(line.signature[:8], "big")))
    return tuple(found)


def _lines_of(note: Note, key: VerifierKey) -> list[Line]:
    return [it for it in note.lines if (it.name, it.key_id) == (key.name, key.key_id)]


def _holds(note: Note, key: VerifierKey, line: Line) -> bool:
    """Whether the line is this key's signature over this note."""
    if len(line.signature) != SIGNATURE_BYTES[key.kind]:
        return False
    time, timed = int.from_bytes(line.signature[:8], "big"), line.signature[8:]
    if key.kind is not Kind.ED25519 and time > INTEGER_MAX:
        return False
    try:
        match key.kind:
            case Kind.ED25519:
                _ed25519(key, line.signature, note.text.encode())
            case Kind.COSIGNATURE:
                _ed25519(key, timed, cosignature_text(note.text, time))
            case Kind.ML_DSA_44:
                if len(note.origin.encode()) > 255 or len(key.name.encode()) > 255:
                    return False
                message = cosigned_message(key.name, time, note.origin, note.size, note.root)
                mldsa.MLDSA44PublicKey.from_public_bytes(key.public).verify(timed, message)
    except (InvalidSignature, ValueError):
        return False
    except UnsupportedAlgorithm as error:  # this machine's cryptography lacks ML-DSA: fail closed
        raise EvidenceBroken("ML-DSA-44 cannot be verified here") from error
    return True


def _ed25519(key: VerifierKey, signature: bytes, message: bytes) -> None:
    ed25519.Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)


def _read_text(text: str) -> tuple[str, int, bytes]:
    rows = text.split("\n")
    if len(rows) != 3 or not _NAME.fullmatch(rows[0]):
        raise MalformedEvidence("a checkpoint has three lines: origin, size, root")
    return rows[0], decimal(rows[1]), read_hash(rows[2])


def _read_line(row: str) -> Line:
    parts = row.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not _NAME.fullmatch(parts[1]):
        raise MalformedEvidence("not a signature line")
    data = _base64(parts[2])
    if len(data) <= 4:
        raise MalformedEvidence("a signature line without a signature")
    return Line(parts[1], data[:4], data[4:])


def decimal(text: str) -> int:
    """A size or index: digits without a leading zero, below 2**63; MalformedEvidence."""
    if not _DECIMAL.fullmatch(text) or int(text) > INTEGER_MAX:
        raise MalformedEvidence("not a number as it is written here")
    return int(text)


def read_hash(text: str) -> bytes:
    """A hash of 32 bytes in base64; MalformedEvidence."""
    data = _base64(text)
    if len(data) != 32:
        raise MalformedEvidence("not a hash")
    return data


def _base64(text: str) -> bytes:
    """Standard base64 in its one spelling."""
    try:
        data = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise MalformedEvidence("not base64") from error
    if b64encode(data).decode() != text:
        raise MalformedEvidence("base64 in another spelling")
    return data


def _place(did: str) -> str:
    found = _DID_WEB.fullmatch(did)
    if found is None:
        raise MalformedEvidence("only a did:web names a ledger")
    return unquote(found[1]) + found[2].replace(":", "/")
