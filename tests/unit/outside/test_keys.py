# SPDX-License-Identifier: Apache-2.0
"""Keys: sealed, bound to their use, and what the master key's file must be like."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from corridor.errors import CorridorError, Invalid, Refused
from corridor.outside.keys import FileKeys, create_master, read_master

MASTER = bytes(range(32))
SIZES = {"ES256": (65, 64), "Ed25519": (32, 64), "ML-DSA-44": (1312, 2420)}


def verify(alg: str, public: bytes, signature: bytes, data: bytes) -> None:
    match alg:
        case "ES256":
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
        case "Ed25519":
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
        case "ML-DSA-44":
            mldsa.MLDSA44PublicKey.from_public_bytes(public).verify(signature, data)


@pytest.mark.parametrize("alg", list(SIZES))
def test_a_key_signs_after_it_was_sealed_and_loaded(alg: str) -> None:
    public, sealed = FileKeys(MASTER).create(alg, "p|k|dsp")
    keys = FileKeys(MASTER)
    keys.load("k", alg, "p|k|dsp", sealed)
    signature = keys.sign("k", b"data")
    assert keys.public("k") == public
    assert (len(public), len(signature)) == SIZES[alg]
    verify(alg, public, signature, b"data")
    if alg != "ML-DSA-44":
        assert keys.sign("k", b"data") == signature


def test_es256_is_rfc_6979() -> None:
    # RFC 6979 A.2.5: P-256, SHA-256, message "sample".
    secret = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
    keys = FileKeys(MASTER)
    keys.load("k", "ES256", "c", keys.seal("ES256|c", secret))
    assert keys.sign("k", b"sample").hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )


def test_hmac() -> None:
    keys = FileKeys(MASTER)
    public, sealed = keys.create("HMAC", "p|k|session")
    keys.load("k", "HMAC", "p|k|session", sealed)
    secret = keys.open("HMAC|p|k|session", sealed)
    assert public == b""
    assert keys.hmac("k", b"x") == hmac.new(secret, b"x", hashlib.sha256).digest()
    with pytest.raises(CorridorError):
        keys.sign("k", b"x")


def test_sealed_bytes_open_for_their_own_use_and_master_alone() -> None:
    keys = FileKeys(MASTER)
    _, sealed = keys.create("ES256", "p|k|dsp")
    for context, alg, data, other in (
        ("q|k|dsp", "ES256", sealed, keys),
        ("p|k|dsp", "Ed25519", sealed, keys),
        ("p|k|dsp", "ES256", sealed[:-1] + bytes([sealed[-1] ^ 1]), keys),
        ("p|k|dsp", "ES256", b"\x02" + sealed[1:], keys),
        ("p|k|dsp", "ES256", sealed[:10], keys),
        ("p|k|dsp", "ES256", b"", keys),
        ("p|k|dsp", "ES256", sealed, FileKeys(bytes(32))),
    ):
        with pytest.raises(Refused):
            other.load("k", alg, context, data)
    assert keys.seal("c", b"x") != keys.seal("c", b"x")


def test_one_seed_gives_the_same_keys() -> None:
    def made(alg: str) -> tuple[bytes, bytes]:
        return FileKeys(MASTER, random=lambda count: bytes([7]) * count).create(alg, "c")

    assert all(made(alg) == made(alg) for alg in SIZES)


def test_unknown_keys_and_kinds_fail_and_nothing_is_shown() -> None:
    keys = FileKeys(MASTER)
    for attempt in (
        lambda: keys.sign("k", b""),
        lambda: keys.public("k"),
        lambda: keys.hmac("k", b""),
        lambda: keys.create("RS256", "c"),
    ):
        with pytest.raises(CorridorError):
            attempt()
    assert repr(keys) == "FileKeys(…)"
    with pytest.raises(ValueError, match="32 bytes"):
        FileKeys(b"short")


def test_the_master_key_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    master = create_master(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_master(path) == master
    assert len(master) == 32
    with pytest.raises(Invalid) as caught:
        create_master(path)
    assert caught.value.code == "key-file"
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(Invalid) as caught:
            read_master(path)
        assert caught.value.code == "key-file-mode"


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64])
def test_a_file_without_a_master_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Invalid) as caught:
        read_master(path)
    assert caught.value.code == "key-file"
    link = tmp_path / "link"
    link.symlink_to(path)
    for other in (link, tmp_path, tmp_path / "absent"):
        with pytest.raises(Invalid):
            read_master(other)
