# SPDX-License-Identifier: Apache-2.0
"""Private keys in memory, sealed under the node's master key (node.md e "Keys").

Sealed bytes: version 1 ‖ nonce (12) ‖ AES-256-GCM text and tag. The kind of a key stands in the
associated data, so that no key is ever used with another algorithm than it was made for.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corridor.errors import CorridorError, Invalid, Refused

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_SECRET_BYTES: Final = 32
# The order of P-256: a private key is a number from 1 to one less.
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DETERMINISTIC: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    """A usable key; never shown."""

    sign: Callable[[bytes], bytes]
    public: bytes


class FileKeys:
    """Keys of a node whose master key lies in a file. `random` is replaced by the simulator."""

    def __init__(self, master: bytes, *, random: Random = os.urandom) -> None:
        if len(master) != _SECRET_BYTES:
            raise ValueError("a master key has 32 bytes")
        self._cipher = AESGCM(master)
        self._random = random
        self._keys: dict[str, _Key] = {}
        self._secrets: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "FileKeys(…)"

    def sign(self, kid: str, data: bytes) -> bytes:
        """Raw signature (ES256 by RFC 6979: r‖s, 64 bytes; Ed25519; ML-DSA-44)."""
        return self._key(kid).sign(data)

    def public(self, kid: str) -> bytes:
        """Raw public key."""
        return self._key(kid).public

    def hmac(self, kid: str, data: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        secret = self._secrets.get(kid)
        if secret is None:
            raise CorridorError(f"no key for HMAC is loaded as {kid}")
        return hmac.digest(secret, data, "sha256")

    def seal(self, context: str, data: bytes) -> bytes:
        """AES-256-GCM under the master key."""
        nonce = self._random(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, data, context.encode())

    def open(self, context: str, data: bytes) -> bytes:
        """The inverse; raises Refused where the bytes or the context are not the sealed ones."""
        version, nonce, text = data[:1], data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :]
        if version != _VERSION or len(nonce) != _NONCE_BYTES:
            raise Refused("bytes that this node did not seal")
        try:
            return self._cipher.decrypt(nonce, text, context.encode())
        except InvalidTag as error:
            raise Refused("bytes that this node did not seal, or not for this use") from error

    def create(self, alg: str, context: str) -> tuple[bytes, bytes]:
        """A fresh key of `ES256`, `Ed25519`, `ML-DSA-44` or `HMAC`: (public, sealed private)."""
        secret = self._random(_SECRET_BYTES)
        if alg == "ES256":
            number = int.from_bytes(secret + self._random(16), "big") % (_P256_ORDER - 1) + 1
            secret = number.to_bytes(_SECRET_BYTES, "big")
        public = b"" if alg == "HMAC" else _key(alg, secret).public
        return public, self.seal(_bound(alg, context), secret)

    def load(self, kid: str, alg: str, context: str, sealed: bytes) -> None:
        """Make a sealed private key usable under `kid`."""
        secret = self.open(_bound(alg, context), sealed)
        if alg == "HMAC":
            self._secrets[kid] = secret
        else:
            self._keys[kid] = _key(alg, secret)

    def _key(self, kid: str) -> _Key:
        key = self._keys.get(kid)
        if key is None:
            raise CorridorError(f"no private key is loaded as {kid}")
        return key


def _bound(alg: str, context: str) -> str:
    return f"{alg}|{context}"


def _key(alg: str, secret: bytes) -> _Key:
    match alg:
        case "ES256":
            return _es256(secret)
        case "Ed25519":
            edwards = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
            return _Key(edwards.sign, edwards.public_key().public_bytes_raw())
        case "ML-DSA-44":
            lattice = mldsa.MLDSA44PrivateKey.from_seed_bytes(secret)
            return _Key(lattice.sign, lattice.public_key().public_bytes_raw())
        case _:
            raise CorridorError(f"no such kind of key: {alg}")


def _es256(secret: bytes) -> _Key:
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, _DETERMINISTIC))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _Key(sign, public)


def create_master(path: Path) -> bytes:
    """Write a fresh master key, readable by its owner alone; Invalid where a file is there."""
    master = os.urandom(_SECRET_BYTES)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Invalid(f"{path} is there already", code="key-file") from error
    with os.fdopen(number, "wb") as file:
        file.write(master.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return master


def read_master(path: Path) -> bytes:
    """The master key; Invalid(key-file-mode) where others may read it, else Invalid(key-file)."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        number = os.open(path, flags)
    except OSError as error:
        raise Invalid(f"{path} cannot be read", code="key-file", cause=str(error)) from error
    try:
        # The open file is judged, not its name: nobody can swap it in between.
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid(f"{path} is no file", code="key-file")
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
            raise Invalid(f"{path} can be read by others", code="key-file-mode")
        text = os.read(number, _SECRET_BYTES * 2 + 2)
    finally:
        os.close(number)
    try:
        master = bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise Invalid(f"{path} holds no master key", code="key-file") from error
    if len(master) != _SECRET_BYTES:
        raise Invalid(f"{path} holds no master key", code="key-file")
    return master
