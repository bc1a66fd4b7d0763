# SPDX-License-Identifier: Apache-2.0
"""The ledger checker: leaves, chains, trees and checkpoints, computed again from the bytes.

RFC 6962 in six lines of its own; nothing of `evidence` is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corridor.sim.record import NodeRecord, Record, Row


class Ledger:
    """The leaves are a chain and a tree; checkpoints only grow; both ledgers hold the same."""

    name = "ledger"

    def check(self, record: Record) -> Iterator[str]:
        """Recompute everything from the bytes."""
        for node in record.nodes.values():
            for ledger in node.rows("SELECT * FROM ledger"):
                yield from self._tree(node, ledger)
            yield from self._agreements(node)
        yield from self._messages(record)

    def _tree(self, node: NodeRecord, ledger: Row) -> Iterator[str]:
        where = f"{node.name}, {ledger['origin']}"
        rows = node.rows(
            'SELECT * FROM ledger_entry WHERE ledger = ? ORDER BY "index"', ledger["pk"]
        )
        threads: dict[str, tuple[int, bytes]] = {}
        hashes: list[bytes] = []
        for place, row in enumerate(rows):
            if row["index"] != place:
                yield f"{where}: entry {row['id']} stands at {row['index']}, not {place}"
                return
            number, prior = None, None
            if row["thread"] is not None:
                before = threads.get(row["thread"])
                number, prior = (before[0] + 1, before[1]) if before else (1, None)
            if (row["number"], row["prior"]) != (number, prior):
                yield f"{where}: the chain of {row['thread']} breaks at {place}"
            leaf = leaf_hash(row["body"], place, number, prior)
            if row["leaf"] != leaf:
                yield f"{where}: leaf {place} is not the hash of its bytes"
            if row["thread"] is not None and number is not None:
                threads[row["thread"]] = (number, leaf)
            hashes.append(leaf)
        if not rows or rows[0]["type"] not in {"ledger.opened", "ledger.succeeded"}:
            yield f"{where}: it does not begin with its opening"
        if ledger["size"] != len(hashes):
            yield f"{where}: size {ledger['size']} of {len(hashes)} entries"
        elif hashes and bytes(ledger["root"]) != tree_root(hashes):
            yield f"{where}: the root is not the tree's"
        yield from self._checkpoints(node, ledger, hashes, where)

    def _checkpoints(
        self, node: NodeRecord, ledger: Row, hashes: list[bytes], where: str
    ) -> Iterator[str]:
        last = 0
        for row in node.rows(
            "SELECT size, note FROM ledger_checkpoint WHERE ledger = ? ORDER BY pk",
            ledger["pk"],
        ):
            if row["size"] < last:
                yield f"{where}: a checkpoint of {row['size']} after one of {last}"
            last = row["size"]
            if last > len(hashes):
                yield f"{where}: a checkpoint of {last} over {len(hashes)} entries"
                continue
            if _root_of_note(row["note"]) != tree_root(hashes[:last]):
                yield f"{where}: the checkpoint of {last} has another root"

    def _agreements(self, node: NodeRecord) -> Iterator[str]:
        entries = entries_of(node)
        concluded = {e.get("agreement") for e in entries if e["type"] == "agreement.concluded"}
        for row in node.rows(
            "SELECT a.agreement_id, a.state, n.state AS reached FROM agreement a "
            "JOIN negotiation n ON n.pid = a.negotiation AND n.participant = a.participant"
        ):
            final = row["reached"] == "FINALIZED"
            if final != (row["agreement_id"] in concluded):
                told = "concluded" if not final else "not concluded"
                yield f"{node.name}: {row['agreement_id']} {told}, but {row['reached']}"
            if not final and row["state"] == "live":
                yield f"{node.name}: {row['agreement_id']} is live in {row['reached']}"

    def _messages(self, record: Record) -> Iterator[str]:
        """Every message that one side has acknowledged stands in the other's ledger, bytes equal.

        Messages of and to foreign peers are left out: they keep no ledger.
        """
        dids = {node.did: name for name, node in record.nodes.items()}
        entries = {name: entries_of(node) for name, node in record.nodes.items()}
        received = Counter(
            (name, body)
            for name, node in record.nodes.items()
            for entry in entries[name]
            if (body := _taken(node, entry, dids)) is not None
        )
        for (name, body), count in received.items():
            if count > 1:
                yield f"{name} took {count} times: {body[:120]!r}"
        for name, node in record.nodes.items():
            said = {entry["id"] for entry in entries[name] if entry["type"] == "message.sent"}
            for entry in entries[name]:
                if entry["type"] == "message.acknowledged" and entry.get("sent") not in said:
                    yield f"{name}: {entry['id']} acknowledges no entry of ours"
            for entry in _acknowledged(entries[name]):
                to = dids.get(entry["peer"])
                body = _payload(node, entry, "body")
                if to is not None and body is not None and received[to, body] != 1:
                    yield f"{name}: {entry['id']} is acknowledged, {to} has no such bytes"


def _taken(node: NodeRecord, entry: dict[str, Any], dids: Mapping[str, str]) -> bytes | None:
    """The bytes of a message that was accepted from another node of the run."""
    if entry["type"] != "message.received" or entry.get("peer") not in dids:
        return None
    return _payload(node, entry, "body") if entry.get("status", 200) < 300 else None


def _acknowledged(entries: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The `message.sent` entries that an acknowledgement of 2xx names."""
    done = {
        entry.get("sent")
        for entry in entries
        if entry["type"] == "message.acknowledged" and 200 <= entry.get("status", 0) < 300
    }
    return (e for e in entries if e["type"] == "message.sent" and e["id"] in done)


def leaf_hash(body: bytes, index: int, number: int | None, prior: bytes | None) -> bytes:
    """SHA-256(0x00 and the leaf's bytes), the leaf put together as evidence.md 2.2 says."""
    leaf = b'{"entry":' + body + b',"index":%d' % index
    if number is not None:
        leaf += b',"number":%d' % number
    if prior is not None:
        leaf += b',"prior":"' + prior.hex().encode() + b'"'
    return hashlib.sha256(b"\x00" + leaf + b',"v":1}').digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 2.1, as it stands there: split at the largest power of two below n."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    left, right = tree_root(hashes[:split]), tree_root(hashes[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def _root_of_note(note: bytes) -> bytes:
    lines = bytes(note).split(b"\n")
    return base64.b64decode(lines[2]) if len(lines) > 2 else b""


def entries_of(node: NodeRecord) -> list[dict[str, Any]]:
    """The bodies of a node's entries, in the order of their commits; `_ledger` is whose."""
    found = []
    for row in node.rows("SELECT ledger, body FROM ledger_entry ORDER BY pk"):
        entry = json.loads(row["body"])
        entry["_ledger"] = row["ledger"]
        found.append(entry)
    return found


def _payload(node: NodeRecord, entry: dict[str, Any], slot: str) -> bytes | None:
    """The bytes beside an entry, where they are still there; salt (32 bytes) taken off."""
    digest = entry.get("payloads", {}).get(slot, {}).get("digest")
    if digest is None or node.unseal is None:
        return None
    rows = node.rows(
        "SELECT p.sealed, l.participant FROM ledger_payload p JOIN ledger l ON l.pk = p.ledger "
        "WHERE p.digest = ? AND p.sealed IS NOT NULL",
        digest,
    )
    if not rows:
        return None
    plain = node.unseal(f"payload|{rows[0]['participant']}|{digest}", bytes(rows[0]["sealed"]))
    return plain[32:]
