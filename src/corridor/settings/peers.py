# SPDX-License-Identifier: Apache-2.0
"""Facts of peers that the operator wrote down, for as long as no credentials prove them.

node.md e, mode `self-issued`. One `[[peer]]` each: `did`, `country`, and `[[peer.credential]]`
tables with `type`, `issuer`, `claims`, `valid_until`. They stand in for presented credentials, so
they are read as strictly as those: unknown keys, a DID twice or a time without offset are faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from corridor.errors import MalformedMessage, Problem
from corridor.identity.did import to_url
from corridor.policy.facts import Credential, Who

PEERS_MAX = 10_000
CREDENTIALS_MAX = 32

_COUNTRY = re.compile(r"[A-Z]{2}")


def read_peers(
    document: Mapping[str, Any], *, source: str, lines: Mapping[str, int]
) -> tuple[dict[str, Who], list[Problem]]:
    """(facts by DID, every fault) of a `peers.toml` as TOML reads it; with faults, no facts."""
    reading = _Reading(source, lines)
    reading.known_only(document, {"peer"}, "")
    known: dict[str, Who] = {}
    for at, table in reading.tables(document, "peer", "", PEERS_MAX):
        who = reading.peer(at, table)
        if who.did in known:
            reading.fault(f"{at}.did", "stands here twice")
        known[who.did] = who
    return ({}, reading.problems) if reading.problems else (known, [])


class _Reading:
    """Reads on after a fault, so that all are told at once."""

    def __init__(self, source: str, lines: Mapping[str, int]) -> None:
        self.problems: list[Problem] = []
        self._source, self._lines = source, lines

    def fault(self, path: str, what: str, code: str = "setting-invalid") -> None:
        line = self._lines.get(path) or self._lines.get(path.rpartition(".")[0], 0)
        self.problems.append(Problem(path, what, code, line=line, source=self._source))

    def known_only(self, table: Mapping[str, Any], known: set[str], at: str) -> None:
        for key in sorted(table.keys() - known):
            what = f"no such setting; it knows {', '.join(sorted(known))}"
            self.fault(f"{at}{key}", what, "setting-unknown")

    def tables(
        self, table: Mapping[str, Any], name: str, at: str, most: int
    ) -> list[tuple[str, Mapping[str, Any]]]:
        """(path, table) of each `[[name]]`."""
        found = table.get(name, [])
        good = isinstance(found, list) and all(isinstance(it, dict) for it in found)
        if not good or len(found) > most:
            self.fault(f"{at}{name}", f"needs tables in two brackets each, {most} at most")
            return []
        return [(f"{at}{name}[{place}]", it) for place, it in enumerate(found)]

    def peer(self, at: str, table: Mapping[str, Any]) -> Who:
        self.known_only(table, {"did", "country", "credential"}, f"{at}.")
        country = table.get("country")
        if country is not None and not (isinstance(country, str) and _COUNTRY.fullmatch(country)):
            self.fault(f"{at}.country", "needs two capital letters (ISO 3166)")
        held = self.tables(table, "credential", f"{at}.", CREDENTIALS_MAX)
        return Who(
            did=self.did(table, "did", at),
            credentials=tuple(self.credential(*it) for it in held),
            country=country,
        )

    def credential(self, at: str, table: Mapping[str, Any]) -> Credential:
        self.known_only(table, {"type", "issuer", "claims", "valid_until"}, f"{at}.")
        kind, until = table.get("type"), table.get("valid_until")
        claims = table.get("claims", {})
        if not (isinstance(kind, str) and kind):
            self.fault(f"{at}.type", "needs the type of the credential")
        if not (isinstance(claims, dict) and all(isinstance(it, str) for it in claims.values())):
            self.fault(f"{at}.claims", "needs a table of texts")
        if until is not None and not (isinstance(until, datetime) and until.tzinfo):
            self.fault(f"{at}.valid_until", "needs a time with its offset: 2027-12-31T00:00:00Z")
            until = None
        return Credential(
            type=str(kind),
            issuer=self.did(table, "issuer", at),
            claims=claims,
            valid_until=until.astimezone(UTC) if until else None,
        )

    def did(self, table: Mapping[str, Any], name: str, at: str) -> str:
        """A DID with an address; a placeholder of its own after a fault."""
        did = table.get(name)
        try:
            if isinstance(did, str) and to_url(did, http_hosts=frozenset()):
                return did
        except MalformedMessage:
            pass
        self.fault(f"{at}.{name}", "needs a did:web")
        return at
