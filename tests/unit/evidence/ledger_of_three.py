# SPDX-License-Identifier: Apache-2.0
"""The ledger of three leaves of evidence.md 8, and its keys. TEST KEYS, never to be used elsewhere."""

from __future__ import annotations

import hashlib

OPENED = b'{"entry":{"id":"0199a000-0000-7000-8000-000000000000","nonce":"00000000000000000000000000000000","origin":"stat.example/eg/ledger/1","time":"2027-03-01T08:00:00.000Z","type":"ledger.opened"},"index":0,"v":1}'
CONCLUDED = b'{"entry":{"agreement":"urn:uuid:6f2c1a52-0f6e-4c7e-9a51-2d7c5b0e9f10","consumer":"did:web:cons.example:rs","digest":"0f23a752dc588fd4eef922ded73abfd62330eebe40b9792aa1ea447323a876b5","id":"0199a000-0000-7000-8000-000000000001","nonce":"01010101010101010101010101010101","permit":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","provider":"did:web:stat.example:eg","time":"2027-03-01T09:00:00.000Z","type":"agreement.concluded"},"index":1,"number":1,"v":1}'
RECEIPT = b'{"entry":{"act":"query","agreement":"urn:uuid:6f2c1a52-0f6e-4c7e-9a51-2d7c5b0e9f10","budget":{"epsilon_micro":250000,"queries":1},"consumer":"did:web:cons.example:rs","counts":{"bytes_in":51,"bytes_out":32,"rows_out":2},"disclosure":{"groups":2,"suppressed":0},"id":"0199a000-0000-7000-8000-000000000002","nonce":"02020202020202020202020202020202","outcome":"answered","payloads":{"request":{"bytes":51,"digest":"eda8eccc6a4bb0e4c6b96f52fa4144af633d1ee7c4f51d1a10c0d0e1b850dde2"},"response":{"bytes":32,"digest":"858853ae4fff767e1272f4fec17367a022deb37cc88894a4fa8b6525d836afbf"}},"permit":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","provider":"did:web:stat.example:eg","purpose":"official-statistics","session":"urn:uuid:0b1d8f3e-5a55-4f59-8c36-1f0a54f6a001","started":"2027-03-01T09:30:00.000Z","time":"2027-03-01T09:30:00.120Z","type":"receipt"},"index":2,"number":2,"prior":"1d69c4e3ef0368b0fb3646883a32c812bee6c377416bd4db4e76925313f5036e","v":1}'
LEAVES = (OPENED, CONCLUDED, RECEIPT)
HASHES = (
    "0c82265e9ee5c7fb21531a91895d086cec6db8f18f7606f5a114115efa8c37a2",
    "1d69c4e3ef0368b0fb3646883a32c812bee6c377416bd4db4e76925313f5036e",
    "9343c3eb8ca613141b659fa69c1c2366d862400f380b350687fad0aed01cec6c",
)
REQUEST = b"SELECT region, avg(kwh) FROM survey GROUP BY region"
REQUEST_SALT = b"\x11" * 32
RESPONSE = b"region,avg\nnorth,1201\nsouth,987\n"
RESPONSE_SALT = b"\x22" * 32
AGREEMENT_DIGEST = hashlib.sha256(
    b'{"@id":"urn:uuid:6f2c1a52-0f6e-4c7e-9a51-2d7c5b0e9f10"}'
).hexdigest()
PERMIT = hashlib.sha256(b"{}").hexdigest()

ORIGIN = "stat.example/eg/ledger/1"
WITNESS = "cons.example/rs/witness"
LOG_SEED = bytes(range(0x20))
WITNESS_SEED = bytes(range(0x20, 0x40))
MLDSA_SEED = bytes(range(0x40, 0x60))
LOG_VKEY = "stat.example/eg/ledger/1+75781396+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "cons.example/rs/witness+065af219+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
COSIGNED_AT = 1803893402
NOTE_SHA256 = "81854640043174a2f721480a0401d14a5fbe98ff00903b7e9854435aa7fd59a5"
PROOF = """\
c2sp.org/tlog-proof@v1
index 2
J6H3LqZLd26ULcwkoT2N6SUp4osNOlO9IWgFVKAfVY4=

stat.example/eg/ledger/1
3
wOmMO2vt6Jffccrk7AADy/oMoRylxVheCNX45GTUhwQ=

— stat.example/eg/ledger/1 dXgTlnMux1h343vnkqqNLkJC5fOSsDMMuR/zJmlrRI6vLkk8Qx3Vq3OYWaRIRDGgkM3snVHlNcXvkrIhiT/lgu/MKAc=
— cons.example/rs/witness BlryGQAAAABrhTqaNDfFtjI5b7wLzuScleGewloyoYE6wW2pfjcs1hbjCDCaxRcZoyutDeihWF+UjFupjZLJfamq2thbRyQTaolIDw==
"""
