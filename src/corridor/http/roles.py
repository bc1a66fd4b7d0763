# SPDX-License-Identifier: Apache-2.0
"""Who may do what on the home face: one row an operation of `wire.home` (node.md g).

Operator, steward, analyst, auditor. An auditor reads; an operator looks after the node and has no
part in deals; what a transfer allows depends on whose side it is, which the desk looks at.
"""

from __future__ import annotations

from collections.abc import Mapping

from corridor.http.routes import ARole

ANY = ARole()
OPERATOR = ARole("operator")
STEWARD = ARole("steward")
ANALYST = ARole("analyst")
DEALING = ARole("analyst", "steward")
KNOWING = ARole("operator", "steward")
READING = ARole("operator", "steward", "auditor")

ROLES: Mapping[str, ARole] = {
    "node": ANY,
    "me": ANY,
    "participants": ANY,
    "openapi": ANY,
    "tokens": OPERATOR,
    "token.add": OPERATOR,
    "token.revoke": OPERATOR,
    "assets": ANY,
    "asset": ANY,
    "asset.upload": STEWARD,
    "asset.look": STEWARD,
    "terms.check": STEWARD,
    "offers": ANY,
    "offer.add": STEWARD,
    "offer": ANY,
    "offer.publish": STEWARD,
    "offer.hide": STEWARD,
    "partners": ANY,
    "partner.add": KNOWING,
    "partner": ANY,
    "partner.test": ARole("operator", "steward", "analyst"),
    "partner.remove": KNOWING,
    "find": DEALING,
    "request": DEALING,
    "negotiations": ANY,
    "negotiation": ANY,
    "negotiation.accept": DEALING,
    "negotiation.counter": DEALING,
    "negotiation.terminate": DEALING,
    "deals": ANY,
    "deal": ANY,
    "deal.withdraw": STEWARD,
    "deal.give-back": ANALYST,
    "query": ANALYST,
    "query.explain": ANALYST,
    "file": ANALYST,
    "receipts": ARole("analyst", "steward", "auditor"),
    "receipt": ARole("analyst", "steward", "auditor"),
    "receipt.verify": ARole("analyst", "steward", "auditor"),
    "transfers": ANY,
    "transfer.start": ANALYST,
    "transfer": ANY,
    "transfer.suspend": DEALING,
    "transfer.resume": DEALING,
    "transfer.complete": DEALING,
    "transfer.terminate": DEALING,
    "transfer.address": ANALYST,
    "explain": ANY,
    "explain.reference": ARole("steward", "auditor"),
    "entries": READING,
    "entry": READING,
    "ledger.verify": READING,
    "keys": READING,
    "key.rotate": OPERATOR,
    "outbox": OPERATOR,
    "outbox.retry": OPERATOR,
    "outbox.abandon": OPERATOR,
    "events": ANY,
}
