# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the vectors of evidence.md 8, both algorithms, and T13-T24 and T71 of its corpus."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.unit.evidence import ledger_of_three as three

from corridor.errors import EvidenceBroken, MalformedEvidence
from corridor.evidence import note, tree

LOG = Ed25519PrivateKey.from_private_bytes(three.LOG_SEED)
WITNESS = Ed25519PrivateKey.from_private_bytes(three.WITNESS_SEED)
MLDSA = MLDSA44PrivateKey.from_seed_bytes(three.MLDSA_SEED)
MLDSA_PUBLIC = MLDSA.public_key().public_bytes_raw()
MLDSA_VKEY = note.vkey(three.ORIGIN, "ML-DSA-44", MLDSA_PUBLIC)
ROOT = tree.append(lambda level, n: b"", 0, [tree.leaf_hash(it) for it in three.LEAVES])[1]
TEXT = note.checkpoint(three.ORIGIN, 3, ROOT)
TIME = 1_803_893_400


def log_line(text: str = TEXT, key: Ed25519PrivateKey = LOG, name: str = three.ORIGIN) -> str:
    public = key.public_key().public_bytes_raw()
    return note.signature_line(name, note.key_id(name, 1, public), key.sign(text.encode()))


def cosignature_line(text: str = TEXT, time: int = three.COSIGNED_AT) -> str:
    public = WITNESS.public_key().public_bytes_raw()
    signature = WITNESS.sign(note.cosignature_text(text, time))
    key_id = note.key_id(three.WITNESS, 4, public)
    return note.signature_line(three.WITNESS, key_id, note.timestamped(time, signature))


def mldsa_line(origin: str = three.ORIGIN, size: int = 3, root: bytes = ROOT) -> str:
    message = note.cosigned_message(three.ORIGIN, TIME, origin, size, root)
    key_id = note.key_id(three.ORIGIN, 6, MLDSA_PUBLIC)
    return note.signature_line(three.ORIGIN, key_id, note.timestamped(TIME, MLDSA.sign(message)))


def read(whole: str) -> note.Note:
    return note.Note.parse(whole.encode())


def test_names() -> None:
    assert note.origin("did:web:stat.example:eg") == three.ORIGIN
    assert note.origin("did:web:localhost%3A7001:stat") == "localhost:7001/stat/ledger/1"
    assert note.origin("did:web:stat.example", 2) == "stat.example/ledger/2"
    assert note.witness_name("did:web:cons.example:rs") == three.WITNESS


@pytest.mark.parametrize(
    "did",
    [
        "",
        "did:key:z6Mk",
        "did:web:",
        "did:web:a b",
        "did:web:a%2Fb",
        "did:web:a:b/c",
        "did:web:a\n",
    ],
)
def test_dids_that_name_no_ledger(did: str) -> None:
    with pytest.raises(MalformedEvidence):
        note.origin(did)


def test_verifier_keys_of_the_vectors() -> None:
    public = LOG.public_key().public_bytes_raw()
    assert note.vkey(three.ORIGIN, "Ed25519", public) == three.LOG_VKEY
    public = WITNESS.public_key().public_bytes_raw()
    assert note.vkey(three.WITNESS, "Ed25519-cosignature", public) == three.WITNESS_VKEY
    assert note.key_id(three.ORIGIN, 6, MLDSA_PUBLIC).hex() == "4be067b6"
    assert sha256(MLDSA_PUBLIC).hexdigest() == (
        "6c1c65071979225a139b3ec84688e2688ec30fabe8cc510cb688bc435f2d3cb9"
    )


def test_the_note_of_the_vectors_byte_for_byte() -> None:
    whole = note.note(TEXT, [log_line(), cosignature_line()])
    assert sha256(whole.encode()).hexdigest() == three.NOTE_SHA256
    assert three.PROOF.endswith("\n\n" + whole)
    parsed = read(whole)
    assert note.verify(parsed, [three.LOG_VKEY], origin=three.ORIGIN) == (3, ROOT)
    both = [three.LOG_VKEY, three.WITNESS_VKEY]
    assert note.verify(parsed, both, origin=three.ORIGIN) == (3, ROOT)
    assert note.cosigned(parsed, both) == (note.Cosigned(three.WITNESS, three.COSIGNED_AT),)
    assert note.cosigned(parsed, [three.LOG_VKEY]) == ()


def test_the_example_of_the_c2sp_cosignature_page_reads() -> None:
    whole = (
        "example.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5"
        "/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrD"
        "JsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    parsed = read(whole)
    assert (parsed.origin, parsed.size) == ("example.com/behind-the-sofa", 20852163)
    assert int.from_bytes(parsed.lines[1].signature[:8], "big") == 1679315147


def test_both_algorithms() -> None:
    keys = [three.LOG_VKEY, MLDSA_VKEY]
    whole = note.note(TEXT, [log_line(), mldsa_line()])
    assert note.verify(read(whole), keys, origin=three.ORIGIN) == (3, ROOT)
    assert note.verify(read(whole), [three.LOG_VKEY], origin=three.ORIGIN) == (3, ROOT)


def test_the_message_for_ml_dsa_is_as_c2sp_lays_it_out() -> None:
    assert note.cosigned_message("a/w", 5, "b/l", 3, bytes(32)) == (
        b"subtree/v1\n\x00\x03a/w"
        + bytes(7)
        + b"\x05\x03b/l"
        + bytes(8)
        + bytes(7)
        + b"\x03"
        + bytes(32)
    )


def test_lines_that_are_missing_or_false() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    wrong_text = note.checkpoint(three.ORIGIN, 4, ROOT)
    keys = [three.LOG_VKEY, three.WITNESS_VKEY, MLDSA_VKEY]
    good = [log_line(), mldsa_line(), cosignature_line()]
    note.verify(read(note.note(TEXT, good)), keys, origin=three.ORIGIN)
    for lines in (
        good[1:],  # T17, no Ed25519 line of the log
        [good[0], good[2]],  # T71, ML-DSA stripped though stated
        [log_line(key=other), *good[1:]],  # T16, a key never stated
        [log_line(wrong_text), *good[1:]],  # T13
        [good[0], mldsa_line(size=4), good[2]],
        [good[0], mldsa_line(root=bytes(32)), good[2]],
        [good[0], mldsa_line(origin="x.example/ledger/1"), good[2]],
        [*good[:2], cosignature_line(wrong_text)],  # T20
        [*good, log_line(wrong_text)],  # a second line of a known key, false
        [*good[:2], good[2].replace("AAAABr", "AAAABs")],  # T21, its time
        [*good[:2], note.signature_line(three.WITNESS, b"\x06\x5a\xf2\x19", b"short")],
        [
            *good[:2],
            note.signature_line(three.WITNESS, b"\x06\x5a\xf2\x19", b"\xff" * 72),
        ],
    ):
        with pytest.raises(EvidenceBroken):
            note.verify(read(note.note(TEXT, lines)), keys, origin=three.ORIGIN)


def test_another_log_and_no_keys_at_all() -> None:
    parsed = read(note.note(TEXT, [log_line()]))
    with pytest.raises(EvidenceBroken, match="another log"):
        note.verify(parsed, [three.LOG_VKEY], origin="stat.example/eg/ledger/2")
    with pytest.raises(EvidenceBroken, match="no line"):
        note.verify(parsed, [], origin=three.ORIGIN)
    with pytest.raises(EvidenceBroken, match="no line"):
        note.verify(parsed, [MLDSA_VKEY], origin=three.ORIGIN)


def test_a_line_of_an_unknown_key_is_passed_over() -> None:
    stranger = note.signature_line("x.example/witness", bytes(4), b"whatever")
    same_name = note.signature_line(three.ORIGIN, bytes(4), b"whatever")
    whole = note.note(TEXT, [stranger, same_name, log_line()])
    assert note.verify(read(whole), [three.LOG_VKEY], origin=three.ORIGIN) == (3, ROOT)


def test_a_witness_key_named_as_the_log_does_not_stand_for_it() -> None:
    """The kind counts, not the name alone."""
    public = WITNESS.public_key().public_bytes_raw()
    key = note.vkey(three.ORIGIN, "Ed25519-cosignature", public)
    line = note.signature_line(
        three.ORIGIN,
        note.key_id(three.ORIGIN, 4, public),
        note.timestamped(5, WITNESS.sign(note.cosignature_text(TEXT, 5))),
    )
    with pytest.raises(EvidenceBroken, match="no line"):
        note.verify(read(note.note(TEXT, [line])), [key], origin=three.ORIGIN)


def test_every_bit_of_text_and_lines_counts() -> None:
    whole = note.note(TEXT, [log_line(), cosignature_line()]).encode()
    keys = [three.LOG_VKEY, three.WITNESS_VKEY]
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            parsed = note.Note.parse(changed)
            note.verify(parsed, keys, origin=three.ORIGIN)
        except (MalformedEvidence, EvidenceBroken):
            continue
        names = changed.decode().split("\n")[5].split(" ")
        assert (names[1], names[2][:5]) != (three.WITNESS, "Blryy"), "only an unknown name passes"
        assert not note.cosigned(parsed, keys)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n3\n", "\n03\n"),  # T24
        ("\n3\n", "\n+3\n"),
        ("\n3\n", "\n٣\n"),
        ("\n3\n", "\n9223372036854775808\n"),
        ("\n3\n", "\n99999999999999999999\n"),
        ("\n3\n", "\n\n"),
        ("wQ=\n\n", "wQ=\nextension\n\n"),  # T22
        ("wQ=\n", "wR=\n"),  # base64 in another spelling
        ("wQ=\n", "wQ\n"),
        ("\n3\n", "\n3\r\n"),  # T23
        ("\n3\n", "\n3\x00\n"),
        ("\n3\n", "\n3\x7f\n"),
        ("stat.example/eg/ledger/1\n", "stat.example/eg ledger/1\n"),
        ("stat.example/eg/ledger/1\n", "\n"),
        ("\n— ", "\n- "),
        ("\n— ", "\n—  "),
        ("\n— cons.example/rs/witness ", "\n— cons+example/rs/witness "),
        ("\n— cons.example/rs/witness ", "\n— cons.example\u00a0rs/witness "),
        ("Dw==\n", "Dw=\n"),
        ("Dw==\n", "Dx==\n"),
        ("Dw==\n", "D*==\n"),
        ("Dw==\n", "Dw==Dw==\n"),
        ("Dw==\n", "Dw=="),
        ("Dw==\n", "Dw==\n\n"),
        ("Dw==\n", "Dw==\nmore\n"),
        ("Dw==\n", "Dw==\n— x.example/w AAAAAA==\n"),
    ],
    ids=repr,
)
def test_notes_that_cannot_be_read(old: str, new: str) -> None:
    whole = note.note(TEXT, [log_line(), cosignature_line()])
    assert old in whole
    with pytest.raises(MalformedEvidence):
        read(whole.replace(old, new, 1))


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"\xff", TEXT.encode(), (TEXT + "\n").encode(), b"a\n" * 70_000]
)
def test_other_bytes_are_no_note(data: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        note.Note.parse(data)


def test_lines_at_the_limit_and_one_above() -> None:
    line = note.signature_line("x.example/w", bytes(4), b"s")
    assert len(read(note.note(TEXT, [line] * 32)).lines) == 32
    with pytest.raises(MalformedEvidence, match="too many"):
        read(note.note(TEXT, [line] * 33))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        three.LOG_VKEY.replace("75781396", "75781397"),
        three.LOG_VKEY.replace("75781396", "7578139G"),
        three.LOG_VKEY.replace("stat.", "stat "),
        three.LOG_VKEY[:-4],
        f"a+{note.key_id('a', 2, bytes(32)).hex()}+{b64encode(bytes([2]) + bytes(32)).decode()}",
        "a+00000000+",
    ],
)
def test_verifier_keys_that_cannot_be_read(text: str) -> None:
    with pytest.raises(MalformedEvidence):
        note.VerifierKey.parse(text)
