# SPDX-License-Identifier: Apache-2.0
"""Every stable code: its title, what a person does about it, exit status and HTTP status.

A code is a promise: it is never reused for something else. `docs/errors/<code>.md` is its page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command line."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_ALLOWED = 4
    WAITING = 5
    NOT_FOUND = 6
    UNREACHABLE = 7
    CHANGED = 8
    NOT_VERIFIED = 9
    CONFIGURATION = 10
    SPENT = 11
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Code:
    """What a stable code means, and what a person does about it."""

    title: str
    mend: str
    exit: Exit = Exit.FAILED
    status: int = 400


E = Exit
CODES: dict[str, Code] = {
    # protocol
    "illegal-transition": Code(
        "the protocol does not allow this message now",
        "compare the state both sides show: corridor deal show ID",
    ),
    "malformed": Code(
        "a message that cannot be read",
        "send what the schema of Dataspace Protocol 2025-1 describes",
    ),
    "malformed-evidence": Code(
        "evidence that cannot be read", "get the proof again from the partner", E.NOT_VERIFIED
    ),
    "pid-mismatch": Code(
        "the message names another process than the address it came to",
        "send each message to the process it names",
    ),
    "pid-reused": Code(
        "this process id was used before for something else", "use a fresh id for each process"
    ),
    "unknown-offer": Code(
        "no such offer", "read the catalogue again: corridor find", E.NOT_FOUND, 404
    ),
    "not-your-offer": Code(
        "only an offer of the other side can be accepted", "wait for the provider's offer"
    ),
    "unsolicited": Code(
        "offers that nobody asked for are not taken",
        "ask for the asset instead: corridor request ASSET",
    ),
    "too-many-rounds": Code(
        "too many counter-offers in one negotiation",
        "start a new negotiation with terms that both can take",
    ),
    "agreement-differs": Code(
        "the agreement is not what was offered", "start again: corridor request ASSET", E.REFUSED
    ),
    "callback": Code(
        "the callback address cannot be used", "give an address that this node may call"
    ),
    "format": Code(
        "this format is not offered for the asset", "choose one of the formats in the catalogue"
    ),
    "unknown-agreement": Code("no such agreement between these two", "corridor deal list"),
    "filter": Code("this catalogue filter is not supported", "send no filter, or one with = on id"),
    # who
    "unauthenticated": Code(
        "no valid token",
        "check both clocks and that the DID document is reachable: corridor partner test PARTNER",
        E.NOT_ALLOWED,
        401,
    ),
    "not-signed-in": Code(
        "this node does not know you", "corridor help profiles", E.NOT_ALLOWED, 401
    ),
    "not-allowed": Code(
        "your role does not allow this", "ask the operator for the role", E.NOT_ALLOWED, 403
    ),
    # waiting
    "try-again": Code(
        "busy; the same again later will do", "wait a moment; nothing was lost", E.UNREACHABLE, 503
    ),
    "peer-backlog": Code(
        "too much is waiting to be sent to this partner",
        "wait until it answers: corridor partner test PARTNER",
        E.UNREACHABLE,
        409,
    ),
    "store-unavailable": Code(
        "the store cannot write", "free disk space; the node heals by itself", E.FAILED, 503
    ),
    "ledger-fenced": Code(
        "the ledger is behind what partners have seen; nothing is changed until that is mended",
        "restore the newer database",
        E.FAILED,
        503,
    ),
    "store-newer": Code(
        "the database was written by a newer version",
        "run the newer version of Corridor",
        E.CONFIGURATION,
        500,
    ),
    "store-older": Code(
        "the database is of an older version", "corridor upgrade", E.CONFIGURATION, 500
    ),
    "store-foreign": Code(
        "this file is a database of something else",
        "name another file in database.url",
        E.CONFIGURATION,
        500,
    ),
    "waiting": Code("waiting for a person or a partner", "corridor deal show ID", E.WAITING, 409),
    "key-reused": Code(
        "this Idempotency-Key came with another request", "use a fresh key", E.USAGE, 422
    ),
    "still-running": Code("the same request is under way", "ask again in a moment", E.WAITING, 409),
    "wrong-host": Code(
        "this node does not answer to this name",
        "use its address, or add the name to node.hosts",
        E.USAGE,
        421,
    ),
    "offer-beside": Code(
        "another published offer is about the same asset", "corridor offer hide ID"
    ),
    "changed": Code("somebody changed it meanwhile", "look again and repeat", E.CHANGED, 412),
    "not-found": Code("no such thing", "list what there is", E.NOT_FOUND, 404),
    # refusals
    "refused": Code("refused", "corridor explain REFERENCE", E.REFUSED, 403),
    "query-refused": Code(
        "the agreement does not allow this question",
        'corridor explain --deal ID --do "…"',
        E.REFUSED,
        403,
    ),
    "budget-spent": Code(
        "a quota or budget is used up",
        "wait until it resets, or ask for more: corridor request ASSET --terms FILE",
        E.SPENT,
        429,
    ),
    "agreement-withdrawn": Code(
        "the provider has withdrawn this agreement", "corridor deal show ID", E.REFUSED, 403
    ),
    "agreement-ended": Code(
        "the agreement is over", "ask again: corridor request ASSET", E.REFUSED, 403
    ),
    "purpose-missing": Code("this offer needs a purpose", "--purpose PURPOSE", E.USAGE),
    "peer-refused": Code("the partner refused", "corridor deal show ID", E.REFUSED, 409),
    # reaching others
    "partner-unreachable": Code(
        "the partner did not answer", "corridor partner test PARTNER", E.UNREACHABLE, 502
    ),
    "home-unreachable": Code(
        "your own node did not answer", "start it: corridor up", E.UNREACHABLE, 502
    ),
    "refused-address": Code(
        "this address may not be called", "allow it in [net] if it is meant", E.UNREACHABLE, 502
    ),
    "unreachable": Code("no connection", "check the address and the network", E.UNREACHABLE, 502),
    "timeout": Code("no answer in time", "try again later", E.UNREACHABLE, 504),
    "too-large": Code("more bytes than allowed", "ask for less", E.FAILED, 413),
    "bad-tls": Code(
        "the certificate is not good", "corridor partner test PARTNER", E.UNREACHABLE, 502
    ),
    # rooms
    "rooms-full": Code("all rooms are taken", "try again in a moment", E.UNREACHABLE, 503),
    "room-fault": Code(
        "the work broke off",
        "try again; the operator finds the cause in the log",
        E.UNREACHABLE,
        503,
    ),
    "room-memory": Code(
        "the work needs more memory than it may have", "ask for less at once", E.REFUSED, 413
    ),
    "room-unsafe": Code(
        "this kernel cannot hold a room",
        "use Linux 5.13 or later with Landlock and seccomp, or set rooms.unsafe_room",
        E.REFUSED,
        503,
    ),
    "room-unavailable": Code(
        "a library that this service needs is missing",
        "pip install 'corridor[tables]'",
        E.FAILED,
        503,
    ),
    # questions
    "query": Code("this question cannot be read", "see the list of problems", E.USAGE, 400),
    "query-type": Code("a value does not fit its column", "see the list of problems", E.USAGE, 400),
    "unsupported": Code(
        "not supported in this version", "ask with select, where, order and limit", E.REFUSED, 403
    ),
    # sources
    "source-keys": Code("a source with unknown keys", "use the keys that are listed", E.USAGE),
    "source-path": Code("a path that cannot be a source", "give an absolute path", E.USAGE),
    "source-missing": Code("no such file or folder", "check the path", E.USAGE),
    "source-outside": Code(
        "the source lies outside the folders of this node",
        "move it, or add its folder to the configured roots",
        E.USAGE,
    ),
    "source-format": Code("an unknown format", "name one of those listed", E.USAGE),
    "source-alias": Code("aliases that cannot be used", 'write {"new": "old"}', E.USAGE),
    "source-busy": Code(
        "somebody writes to this database", "close it, so that its journal is gone", E.USAGE
    ),
    "source-table": Code("no such table in the file", "name one of those listed", E.USAGE),
    "source-unreadable": Code("the source cannot be read", "check the file", E.USAGE),
    "source-changed": Code(
        "the data no longer look as they were offered",
        "ask the provider to look at the asset again",
        E.FAILED,
        409,
    ),
    "source-url": Code(
        "an address that cannot be opened", "give an s3://, az:// or gs:// address", E.USAGE
    ),
    "source-files": Code("too few or too many files", "offer a smaller folder", E.USAGE),
    "column-name": Code(
        "a column name that terms cannot hold", 'give it an alias: {"new": "old"}', E.USAGE
    ),
    "column-twice": Code("two columns by one name", "give one an alias", E.USAGE),
    "column-missing": Code("an alias for a column that is not there", "check the names", E.USAGE),
    "column-count": Code("too few or too many columns", "offer a view of fewer", E.USAGE),
    "row-filter": Code(
        "the agreement's row filter does not fit the table",
        "look at the asset again, and at the offer's rows",
        E.FAILED,
        409,
    ),
    # what people give
    "invalid": Code("this cannot be used", "mend what is listed", E.USAGE, 400),
    "setting-unknown": Code("no such setting", "corridor help settings", E.CONFIGURATION),
    "setting-invalid": Code(
        "a setting that cannot be used", "corridor help settings", E.CONFIGURATION
    ),
    "setting-missing": Code("a setting is missing", "corridor help settings", E.CONFIGURATION),
    "setting-later": Code(
        "this version of Corridor cannot do that", "leave the setting out", E.CONFIGURATION
    ),
    "setting-unreadable": Code(
        "the file of settings cannot be read", "corridor init writes one", E.CONFIGURATION
    ),
    "folder-in-use": Code(
        "another node runs on this folder", "stop it, or set node.data_dir", E.FAILED
    ),
    "disk-remote": Code(
        "the data folder is not on a local disk", "set node.data_dir", E.CONFIGURATION
    ),
    "clock-off": Code("this clock is not right", "timedatectl set-ntp true", E.CONFIGURATION),
    "internal": Code("a bug in Corridor", "report it with the reference", E.FAILED, 500),
    "evidence-broken": Code(
        "evidence does not verify", "corridor audit verify", E.NOT_VERIFIED, 409
    ),
    "entry-unfit": Code(
        "something that the ledger cannot write down", "report it with the reference", E.FAILED, 500
    ),
    "unreadable": Code(
        "the node answered something unknown", "use the same version on both sides", E.FAILED, 502
    ),
    "terms-wider": Code(
        "more is asked than is offered", "ask for what the offer gives", E.REFUSED, 403
    ),
    "terms-unknown": Code("terms that nobody here can enforce", "leave them out", E.USAGE),
    "terms-unknown-key": Code(
        "a key that terms do not have here",
        "write the key that is meant, or leave it out",
        E.USAGE,
    ),
    "terms-action": Code(
        "the asset does not offer this action",
        "write one of the actions that it offers",
        E.USAGE,
    ),
    "terms-country": Code(
        "no country code",
        "write two letters of ISO 3166-1, such as RS",
        E.USAGE,
    ),
    "terms-past": Code(
        "the terms end in the past",
        "write a later date",
        E.USAGE,
    ),
    "terms-bounds": Code(
        "a measure without bounds",
        "write {measure: [low, high]}",
        E.USAGE,
    ),
    "terms-no-unit": Code(
        "no column says who is counted",
        "mark the column that identifies one: unit",
        E.USAGE,
    ),
    "terms-column": Code(
        "the asset has no such column",
        "write one of its columns",
        E.USAGE,
    ),
    "terms-floor": Code(
        "below what this node allows",
        "tighten it, or ask the operator",
        E.USAGE,
    ),
    "terms-never": Code(
        "terms under which nothing could ever happen",
        "loosen what the message names",
        E.USAGE,
    ),
    "terms-conflict": Code(
        "one thing is both allowed and forbidden, or said twice",
        "remove one of the two",
        E.USAGE,
    ),
    "terms-duration": Code(
        "no duration of fixed length",
        "write days, hours, minutes or seconds: P90D",
        E.USAGE,
    ),
    "terms-duplicate": Code(
        "a key stands twice in one map",
        "merge the two",
        E.USAGE,
    ),
    "terms-unenforced": Code(
        "nobody on this node would enforce this",
        "leave it out, or choose another asset",
        E.USAGE,
    ),
    "terms-value": Code(
        "a value of the wrong kind",
        "write what the message asks for",
        E.USAGE,
    ),
    "terms-missing": Code(
        "something that is needed is not there",
        "add it",
        E.USAGE,
    ),
    "terms-yaml": Code(
        "no YAML document that terms can be read from",
        "mend the line that is named",
        E.USAGE,
    ),
    "terms-limit": Code(
        "terms that are too large",
        "shorten them",
        E.USAGE,
    ),
    "terms-read-beside-aggregate": Code(
        "rows and statistics of one asset (a warning)",
        "leave one of the two out",
        E.USAGE,
    ),
    "terms-no-until": Code(
        "terms without an end (a warning)",
        "write until, or for",
        E.USAGE,
    ),
    "terms-privacy-without-purpose": Code(
        "a privacy budget for no purpose (a warning)",
        "write purpose",
        E.USAGE,
    ),
    # the command line and the SDK
    "usage": Code("this cannot be typed so", "corridor help", E.USAGE, 400),
    "profile": Code("a profile that cannot be used", "corridor help profiles", E.CONFIGURATION),
    "library-missing": Code(
        "a library that this needs is missing", "pip install 'corridor[clients]'", E.FAILED, 500
    ),
    # the node's own ground
    "key-file": Code(
        "the master key file cannot be used", "restore it from your backup", E.CONFIGURATION, 500
    ),
    "key-file-mode": Code(
        "others can read the master key file", "chmod 600 FILE", E.CONFIGURATION, 500
    ),
    "port-in-use": Code(
        "another program listens on this port", "stop it, or choose another port", E.FAILED, 500
    ),
    "headers-too-large": Code("headers are too long or too many", "send less", E.FAILED, 431),
    "body-timeout": Code("the body did not come in time", "send it again", E.FAILED, 408),
    "listen": Code(
        "this address cannot be listened on", "choose another one", E.CONFIGURATION, 500
    ),
}
