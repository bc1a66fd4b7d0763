# SPDX-License-Identifier: Apache-2.0
"""Every section of `corridor.toml`: what it becomes, and one row a setting with its default."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from corridor.limits import Limits
from corridor.services import NAMES
from corridor.settings.kinds import (
    COUNT,
    COUNTRY,
    DATABASE,
    DURATION,
    FLAG,
    FLOOR_TABLE,
    HOST_NAMES,
    HOSTS,
    LANGUAGES,
    LISTEN,
    NETWORKS,
    PATH,
    PATH_OR_NONE,
    PATHS,
    PURPOSES,
    SERVICES,
    SIZE,
    SLUG,
    TEXT,
    TITLE,
    URL,
    Kind,
    Listen,
    choice,
    write_duration,
    write_size,
)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`[node]`; `hosts` are the Host headers that are answered."""

    name: str
    public_url: str
    peer_listen: Listen
    home_listen: Listen
    hosts: tuple[str, ...]
    data_dir: Path
    development: bool


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """`[tls]`: a proxy in front, or our own certificate."""

    mode: str
    certificate_file: Path | None
    key_file: Path | None


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`[database]`; `url` as the store takes it: `sqlite:///NAME`, NAME in the data folder."""

    url: str
    url_file: Path | None
    migrate: str


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[participant]]`."""

    id: str
    title: dict[str, str]
    country: str
    did: str
    languages: tuple[str, ...]
    contact: str
    identity: str
    unsafe_peer: str
    purposes: dict[str, str]


class KeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[keys]`, in seconds."""

    store: str
    rotate_after: float
    overlap: float


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """`[trust]`: facts of peers without credentials."""

    peers_file: Path


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """`[requests]`: `wait` in seconds; `unsolicited`: offers that nobody asked for are taken."""

    wait: float
    unsolicited: bool


class Approvals(msgspec.Struct, frozen=True, kw_only=True):
    """`[approvals]`, in seconds."""

    lapse_after: float


class NetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[net]`: what the guarded fetcher may reach beside the public internet."""

    allow_networks: tuple[str, ...]
    allow_hosts: tuple[str, ...]
    http_hosts: tuple[str, ...]
    callback_check: str


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[policy]`: the least value of each limit that terms of this node may name."""

    floors: dict[str, int]


class RoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[rooms]`."""

    unsafe_room: bool


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[ledger]`, in seconds."""

    checkpoint_every: float


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[services.<name>]`: folders that a steward may name sources in."""

    roots: tuple[Path, ...]


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """`[services]`."""

    enabled: tuple[str, ...]
    files: SourceSettings
    tables: SourceSettings


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`; format `auto` is text on a terminal, else json."""

    level: str
    format: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `origins`: setting -> `option`, `environment NAME`, `FILE:LINE` or `default`."""

    node: Node
    tls: Tls
    database: Database
    participants: tuple[Participant, ...]
    keys: KeySettings
    trust: Trust
    requests: Requests
    approvals: Approvals
    net: NetSettings
    policy: PolicySettings
    rooms: RoomSettings
    ledger: LedgerSettings
    services: Services
    log: Log
    limits: Limits
    origins: dict[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `default` is a TOML value; REQUIRED where there is none."""

    kind: Kind
    default: Any
    about: str


REQUIRED = object()


def _limit(name: str, default: Any) -> Setting:
    """A limit's kind follows from its type and name, so that a new field needs no row here."""
    if isinstance(default, float):
        return Setting(DURATION, write_duration(default), "")
    if "bytes" in name:
        return Setting(SIZE, write_size(default), "")
    return Setting(COUNT, default, "")


PARTICIPANT: dict[str, Setting] = {
    "id": Setting(SLUG, REQUIRED, "first segment of its addresses"),
    "title": Setting(TITLE, {}, "its name, a language each"),
    "country": Setting(COUNTRY, "", "two letters, ISO 3166"),
    "did": Setting(TEXT, "", "did:web; empty: from node.public_url and id"),
    "languages": Setting(LANGUAGES, ["en"], "for later: this version takes titles as they come"),
    "contact": Setting(TEXT, "", "for later: nobody is shown it yet"),
    "identity": Setting(
        choice("self-issued", "unsafe-open", later=("dcp", "edc-mock")),
        "self-issued",
        "self-issued: facts of peers are ours; unsafe-open: nobody proves anything, loopback only",
    ),
    "unsafe_peer": Setting(TEXT, "", "unsafe-open only: who every caller is taken for"),
    "purposes": Setting(PURPOSES, {}, "own purposes: word = IRI"),
}

_ROOTS = Setting(PATHS, [], "folders that a steward may name sources in")
SECTIONS: dict[str, dict[str, Setting]] = {
    "node": {
        "name": Setting(TEXT, "", "shown to people; empty: the host of public_url"),
        "public_url": Setting(URL, REQUIRED, "how partners reach this node"),
        "peer_listen": Setting(LISTEN, "127.0.0.1:7000", "protocols and data"),
        "home_listen": Setting(LISTEN, "127.0.0.1:7001", "API, console, metrics"),
        "hosts": Setting(HOST_NAMES, [], "answered Host headers; empty: from these"),
        "data_dir": Setting(PATH, "/var/lib/corridor", "database, keys, ledger"),
        "development": Setting(FLAG, False, "all on this machine: loopback and http are allowed"),
    },
    "tls": {
        "mode": Setting(choice("proxy", "own"), "proxy", "a proxy in front, or own certificate"),
        "certificate_file": Setting(PATH_OR_NONE, "", "PEM, with its chain"),
        "key_file": Setting(PATH_OR_NONE, "", "PEM"),
    },
    "database": {
        "url": Setting(DATABASE, "sqlite:corridor.db", "a file in data_dir"),
        "url_file": Setting(PATH_OR_NONE, "", "a file that holds the url instead"),
        "migrate": Setting(choice("manual", "auto"), "manual", "for later: none is older"),
    },
    "keys": {
        "store": Setting(
            choice("file", later=("passphrase", "exec")), "file", "where the master key lies"
        ),
        "rotate_after": Setting(DURATION, "365d", "age at which a signing key is replaced"),
        "overlap": Setting(DURATION, "24h", "how long a new key is published before it signs"),
    },
    "trust": {"peers_file": Setting(PATH, "peers.toml", "facts of peers without credentials")},
    "requests": {
        "wait": Setting(DURATION, "30s", "for later: each command and call says how long it waits"),
        "unsolicited": Setting(FLAG, False, "whether offers that nobody asked for are taken"),
    },
    "approvals": {"lapse_after": Setting(DURATION, "30d", "for later: none is asked")},
    "net": {
        "allow_networks": Setting(NETWORKS, [], "may be called though not public"),
        "allow_hosts": Setting(HOSTS, [], "HOST:PORT, the same"),
        "http_hosts": Setting(HOSTS, [], "HOST:PORT without TLS; development only"),
        "callback_check": Setting(
            choice("guard", later=("listed",)), "guard", "which addresses of peers are called"
        ),
    },
    "policy": {"floors": Setting(FLOOR_TABLE, {"min_group_size": 5}, "least values for all terms")},
    "rooms": {
        "unsafe_room": Setting(FLAG, False, "serve tables although the kernel lacks a sandbox")
    },
    "ledger": {"checkpoint_every": Setting(DURATION, "1s", "how often a grown ledger is signed")},
    "services": {"enabled": Setting(SERVICES, list(NAMES), "what this node offers")},
    "services.files": {"roots": _ROOTS},
    "services.tables": {"roots": _ROOTS},
    "log": {
        "level": Setting(choice("debug", "info", "warning", "error"), "info", "least level"),
        "format": Setting(choice("auto", "json", "text"), "auto", "auto: text on a terminal"),
    },
    "limits": {
        it.name: _limit(it.name, getattr(Limits(), it.name)) for it in dataclasses.fields(Limits)
    },
}

# Sections and settings of experience.md 3.4 that this version does not do: refused, not ignored.
LATER = frozenset({
    "auth", "telemetry", "backup", "mail", "console", "node.console_url", "node.workers",
    "node.time_zone", "tls.trusted_proxies", "tls.hsts", "database.pool_size",
    "participant.logo_file", "trust.issuers_file", "requests.approval",
    "approvals.author_may_decide", "approvals.remind_after", "net.proxy", "policy.foreign",
    "ledger.witness_every", "ledger.witnesses", "ledger.unwitnessed_max", "ledger.countersign",
    "ledger.countersign_within", "ledger.countersign_backlog", "ledger.timestamp_url",
    "ledger.timestamp_required_after",
})  # fmt: skip

ALIASES = {
    "ledger.checkpoint_every": "checkpoint_every_s",
    "approvals.lapse_after": "approval_wait_s",
    "keys.rotate_after": "key_rotate_after_s",
}
"""Settings that are limits under another name; both may be given only where they agree."""
