# SPDX-License-Identifier: Apache-2.0
"""The only reader of environment and TOML: `load` gives a `Config` or every fault at once.

experience.md 3.2 to 3.4. Order: option > CORRIDOR_<SECTION>__<KEY> > file > default; which won is
kept in `Config.origins`. What can be set stands in `settings/`. Nothing secret is in a value: the
file names files. `[[participant]]` is set in the file or by option, not in the environment.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corridor.errors import Invalid, MalformedMessage, Problem
from corridor.identity.did import from_url, to_url
from corridor.limits import Limits
from corridor.policy.facts import Who
from corridor.settings import ALIASES, LATER, PARTICIPANT, REQUIRED, SECTIONS, Config, Setting
from corridor.settings import Participant as ParticipantSettings
from corridor.settings.kinds import LOOPBACK_NAMES, Listen
from corridor.settings.peers import read_peers
from corridor.settings.sections import (
    Approvals,
    Database,
    KeySettings,
    LedgerSettings,
    Log,
    NetSettings,
    Node,
    PolicySettings,
    Requests,
    RoomSettings,
    Services,
    SourceSettings,
    Tls,
    Trust,
)
from corridor.settings.writing import to_toml

__all__ = ["Config", "load", "load_peers", "to_toml"]

FILE_BYTES_MAX = 1 << 20
VALUE_CHARS_MAX = 64 << 10
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")

_PREFIX = "CORRIDOR_"
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\s\"'-]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\s\"'-]+?)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_ROWS: dict[str, Setting] = {
    f"{section}.{key}": it for section, rows in SECTIONS.items() for key, it in rows.items()
}


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody gave it; `source` and `line` for people, `base` where its paths begin."""

    value: Any
    origin: str
    base: Path
    source: str = ""
    line: int = 0


def load(
    path: Path | str | None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read the file (none: CORRIDOR_CONFIG, else no file), environment and options.

    `overrides`: `{"node.peer_listen": "127.0.0.1:7010"}`, values as text or as TOML would give
    them; `participant` takes a list of tables. Raises Invalid with all problems (exit 10).
    """
    environ = os.environ if environ is None else environ
    reading = _Reading()
    named = path if path is not None else environ.get("CORRIDOR_CONFIG")
    if named is not None:
        reading.take_file(Path(named))
    reading.take_environment(environ)
    reading.take_options(overrides or {})
    return reading.config()


def load_peers(path: Path) -> dict[str, Who]:
    """Facts of peers out of `trust.peers_file`, by DID; none where there is no such file.

    Raises Invalid with all problems (exit 10).
    """
    if not path.exists():
        return {}
    document, text = _read(path)
    known, problems = read_peers(document, source=path.name, lines=_lines(text))
    if problems:
        raise _refusal(problems)
    return known


class _Reading:
    """Values as they come, and every problem met on the way."""

    def __init__(self) -> None:
        self.given: dict[str, _Given] = {}
        self.participants: list[dict[str, _Given]] = []
        self.problems: list[Problem] = []
        self.base = Path.cwd()

    # what is given

    def take_file(self, path: Path) -> None:
        """The file; Invalid at once where it cannot be read: it says nothing of what is missing."""
        document, text = _read(path)
        source = path.name
        self.base = path.absolute().parent
        lines = _lines(text)
        for dotted, value in _flat(document):
            line = lines.get(dotted, lines.get(dotted.rpartition(".")[0], 0))
            given = _Given(value, f"{source}:{line}", self.base, source, line)
            if dotted == "participant":
                self._take_participants(given, lines)
            else:
                self._take(dotted, given)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        """Every CORRIDOR_<SECTION>__<KEY>; names without two underscores are no settings."""
        for name in sorted(environ):
            if not name.startswith(_PREFIX) or "__" not in name.removeprefix(_PREFIX):
                continue
            dotted = name.removeprefix(_PREFIX).lower().replace("__", ".")
            origin = f"environment {name}"
            self._take(dotted, _Given(environ[name], origin, Path.cwd(), source=origin), text=True)

    def take_options(self, overrides: Mapping[str, Any]) -> None:
        """What the command line says."""
        for dotted, value in overrides.items():
            given = _Given(value, "option", Path.cwd(), source="option")
            if dotted == "participant":
                self.participants = []
                self._take_participants(given, {})
            else:
                self._take(dotted, given, text=isinstance(value, str))

    def _take(self, dotted: str, given: _Given, *, text: bool = False) -> None:
        row = _ROWS.get(dotted)
        if row is None:
            self._unknown(dotted, given)
            return
        if text and not row.kind.text:
            given = replace(given, value=_from_text(given.value, many=row.kind.many))
        self.given[dotted] = given

    def _take_participants(self, given: _Given, lines: Mapping[str, int]) -> None:
        tables = given.value
        if not isinstance(tables, (list, tuple)) or not all(isinstance(it, dict) for it in tables):
            self._fault("participant", "needs [[participant]], two brackets each", given=given)
            return
        for place, table in enumerate(tables):
            taken: dict[str, _Given] = {}
            for key, value in table.items():
                line = lines.get(f"participant[{place}].{key}", given.line)
                one = replace(given, value=value, line=line)
                if key in PARTICIPANT:
                    taken[key] = one
                else:
                    self._unknown(f"participant.{key}", one)
            self.participants.append(taken)

    def _unknown(self, dotted: str, given: _Given) -> None:
        section, _, key = dotted.rpartition(".")
        if dotted in SECTIONS:
            self._fault(dotted, f"is a section: [{dotted}]", given=given)
            return
        if section == "participant" and key in PARTICIPANT:
            self._fault(dotted, "is set in the file, under [[participant]]", given=given)
            return
        parts = dotted.split(".")
        if any(".".join(parts[:it]) in LATER for it in range(1, len(parts) + 1)):
            self._fault(dotted, "is not in this version", "setting-later", given=given)
            return
        if section in SECTIONS or section == "participant":
            known: Sequence[str] = list(
                PARTICIPANT if section == "participant" else SECTIONS[section]
            )
            what, word = f"no such setting in [{section}]", key
        else:
            known, what, word = [*SECTIONS, "participant"], "no such section", section or dotted
        near = difflib.get_close_matches(word, known, n=1)
        mend = f"did you mean {near[0]}?" if near else "corridor help settings"
        self._fault(dotted, what, "setting-unknown", given=given, mend=mend)

    # what it comes to

    def config(self) -> Config:
        """Everything together, or Invalid."""
        values = {dotted: self._value(dotted, row) for dotted, row in _ROWS.items()}
        people = [self._participant(place, it) for place, it in enumerate(self.participants)]
        self._check(values, people)
        if self.problems:
            raise _refusal(self.problems)
        return self._build(values, people)

    def _value(self, dotted: str, row: Setting) -> Any:
        """The value read, or None after a problem."""
        given = self.given.get(dotted)
        if given is None and row.default is REQUIRED:
            self._fault(dotted, "is missing", "setting-missing", mend=row.about)
            return None
        return self._read(dotted, row, given)

    def _read(self, dotted: str, row: Setting, given: _Given | None) -> Any:
        try:
            if given is None:
                return row.kind.read(row.default, self.base)
            return row.kind.read(given.value, given.base)
        except ValueError as error:
            self._fault(dotted, str(error), given=given, mend=row.about)
            return None

    def _participant(self, place: int, given: Mapping[str, _Given]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, row in PARTICIPANT.items():
            dotted = f"participant[{place}].{key}"
            if key not in given and row.default is REQUIRED:
                self._fault(dotted, "is missing", "setting-missing", mend=row.about)
                values[key] = None
            else:
                values[key] = self._read(dotted, row, given.get(key))
        return values

    def _check(self, values: dict[str, Any], people: list[dict[str, Any]]) -> None:
        """What no single setting can say, then what follows from others."""
        self._check_listeners(values)
        self._check_net(values)
        self._check_files(values)
        self._check_limits(values)
        self._check_people(values, people)

    def _check_listeners(self, values: Mapping[str, Any]) -> None:
        peer, home = values["node.peer_listen"], values["node.home_listen"]
        for name, listen in (("peer_listen", peer), ("home_listen", home)):
            if values["node.development"] and listen is not None and not listen.loopback:
                self._fault(f"node.{name}", "must be on loopback while node.development is on")
        shared = peer is not None and home is not None and peer.port == home.port
        if shared and not _local(values):
            self._fault("node.home_listen", "can share a port with peer_listen on loopback only")
        place = urlsplit(values["node.public_url"] or "")
        local = values["node.development"] and place.hostname in LOOPBACK_NAMES
        if place.scheme == "http" and not (local and place.port):
            what = "needs https; http is for development on this machine, and with a port"
            self._fault("node.public_url", what)

    def _check_net(self, values: Mapping[str, Any]) -> None:
        if values["net.http_hosts"] and not values["node.development"]:
            self._fault("net.http_hosts", "is for development only", mend="node.development = true")
        inside = [ip_network(it) for it in LOOPBACK_NETWORKS]
        if any(
            network.version == it.version and network.overlaps(it)
            for network in map(ip_network, values["net.allow_networks"] or ())
            for it in inside
        ) and not _local(values):
            self._fault("net.allow_networks", "can hold this machine with loopback listeners only")

    def _check_files(self, values: dict[str, Any]) -> None:
        own = values["tls.mode"] == "own"
        for name in ("tls.certificate_file", "tls.key_file"):
            if own and values[name] is None and name not in self._faulty():
                self._fault(name, "is missing", "setting-missing", mend="tls.mode is own")
            if not own and values[name] is not None:
                self._fault(name, "is set though a proxy does TLS", mend='tls.mode = "own"')
        if values["database.url_file"] is None:
            return
        if "database.url" in self.given:
            self._fault("database.url_file", "is set beside database.url: leave out one of them")
            return
        try:
            text = values["database.url_file"].read_text()[:VALUE_CHARS_MAX].strip()
            values["database.url"] = _ROWS["database.url"].kind.read(text, self.base)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            self._fault("database.url_file", str(why))

    def _check_limits(self, values: dict[str, Any]) -> None:
        for name, limit in ALIASES.items():
            dotted = f"limits.{limit}"
            if name not in self.given:
                values[name] = values[dotted]
            elif dotted in self.given and values[name] != values[dotted]:
                self._fault(name, f"is another value than {dotted}: leave out one of them")
            values[dotted] = values[name]
        overlap, rotate = values["keys.overlap"], values["keys.rotate_after"]
        publish = values["limits.key_publish_s"]
        if None not in (overlap, publish) and overlap < publish:
            self._fault("keys.overlap", f"must be at least {publish:.0f} s (limits.key_publish_s)")
        if None not in (overlap, rotate) and rotate <= overlap:
            self._fault("keys.rotate_after", "must be longer than keys.overlap")

    def _check_people(self, values: Mapping[str, Any], people: list[dict[str, Any]]) -> None:
        if not people:
            self._fault("participant", "is missing: a node serves at least one", "setting-missing")
        most = values["limits.participants_max"]
        if most is not None and len(people) > most:
            self._fault("participant", f"stands {len(people)} times: at most {most}")
        for place, it in enumerate(people):
            at = f"participant[{place}]"
            if it["id"] and it["id"] in [other["id"] for other in people[:place]]:
                self._fault(f"{at}.id", f"{it['id']} is taken by another participant")
            unsafe = it["identity"] == "unsafe-open"
            if unsafe and not _local(values):
                self._fault(f"{at}.identity", "unsafe-open needs loopback listeners")
            if unsafe and it["unsafe_peer"] == "":
                self._fault(f"{at}.unsafe_peer", "is missing", "setting-missing")
            if not unsafe and it["unsafe_peer"]:
                self._fault(f"{at}.unsafe_peer", "is for identity unsafe-open only")
            if it["id"] and it["did"] is not None and values["node.public_url"]:
                self._check_did(at, it, values["node.public_url"])

    def _check_did(self, at: str, it: dict[str, Any], public_url: str) -> None:
        """Fill in the DID; one that was given must at least have an address."""
        try:
            it["did"] = it["did"] or from_url(public_url, it["id"])
            to_url(it["did"], http_hosts=frozenset())
        except MalformedMessage as error:
            self._fault(f"{at}.did", f"cannot be made or found: {error.what}")

    def _build(self, values: Mapping[str, Any], people: list[dict[str, Any]]) -> Config:
        def rows(section: str) -> dict[str, Any]:
            return {key: values[f"{section}.{key}"] for key in SECTIONS[section]}

        node, net = rows("node"), rows("net")
        place = urlsplit(node["public_url"])
        node["name"] = node["name"] or place.hostname
        own = _own_hosts(place.netloc.lower(), node["peer_listen"], node["home_listen"])
        node["hosts"] = node["hosts"] or own
        origins = {it: self.given[it].origin if it in self.given else "default" for it in _ROWS}
        if node["development"]:
            near = [it for it in own if ":" in it]
            net["http_hosts"] = tuple(dict.fromkeys([*net["http_hosts"], *near]))
            known = [*net["allow_networks"], *LOOPBACK_NETWORKS]
            net["allow_networks"] = tuple(dict.fromkeys(known))
        return Config(
            node=Node(**node),
            tls=Tls(**rows("tls")),
            database=Database(**rows("database")),
            participants=tuple(ParticipantSettings(**it) for it in people),
            keys=KeySettings(**rows("keys")),
            trust=Trust(**rows("trust")),
            requests=Requests(**rows("requests")),
            approvals=Approvals(**rows("approvals")),
            net=NetSettings(**net),
            policy=PolicySettings(**rows("policy")),
            rooms=RoomSettings(**rows("rooms")),
            ledger=LedgerSettings(**rows("ledger")),
            services=Services(
                enabled=values["services.enabled"],
                files=SourceSettings(**rows("services.files")),
                tables=SourceSettings(**rows("services.tables")),
            ),
            log=Log(**rows("log")),
            limits=Limits(**{it.name: values[f"limits.{it.name}"] for it in fields(Limits)}),
            origins=origins,
        )

    # problems

    def _faulty(self) -> set[str]:
        return {it.path for it in self.problems}

    def _fault(
        self,
        path: str,
        what: str,
        code: str = "setting-invalid",
        *,
        given: _Given | None = None,
        mend: str = "",
    ) -> None:
        given = given or self.given.get(path)
        source, line = (given.source, given.line) if given else ("", 0)
        self.problems.append(Problem(path, what, code, line=line, source=source, mend=mend))


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """A TOML file and its text; Invalid (setting-unreadable) with the line where it breaks."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1).decode()
        if len(text) <= FILE_BYTES_MAX:
            return tomllib.loads(text), text
        why = f"is over {FILE_BYTES_MAX} bytes"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
    found = _AT_LINE.search(why)
    line = int(found[1]) if found else 0
    raise _refusal([Problem(str(path), why, "setting-unreadable", line=line, source=path.name)])


def _refusal(problems: Sequence[Problem]) -> Invalid:
    return Invalid("the settings cannot be used", problems=problems, code=problems[0].code)


def _local(values: Mapping[str, Any]) -> bool:
    """Whether both listeners are for this machine only (a faulty one is told of elsewhere)."""
    listeners = (values["node.peer_listen"], values["node.home_listen"])
    return all(it is None or it.loopback for it in listeners)


def _own_hosts(public: str, *listeners: Listen) -> tuple[str, ...]:
    """Host headers that mean this node; on loopback also by the name localhost."""
    own = [public]
    for it in listeners:
        own.append(str(it))
        if it.loopback:
            own.append(f"localhost:{it.port}")
    return tuple(dict.fromkeys(own))


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of each setting, sections opened as far as the table knows them."""
    waiting = list(document.items())
    while waiting:
        dotted, value = waiting.pop(0)
        inner = dotted not in _ROWS and dotted not in LATER and dotted != "participant"
        if isinstance(value, dict) and value and inner:
            waiting = [(f"{dotted}.{key}", it) for key, it in value.items()] + waiting
        elif not (isinstance(value, dict) and dotted in SECTIONS):
            yield dotted, value


def _lines(text: str) -> dict[str, int]:
    """Line of each key, for people: TOML's reader keeps none. Looks at line beginnings only."""
    found: dict[str, int] = {}
    latest: dict[str, str] = {}  # an array of tables, as written, to the one of it that is open
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.fullmatch(line.rstrip("\r")):
            written = _plain(header[2])
            outer, dot, last = written.rpartition(".")
            name = f"{latest.get(outer, outer)}{dot}{last}"
            found.setdefault(name, number)
            if header[1] == "[[":
                place = counts[name] = counts.get(name, -1) + 1
                name = latest[written] = f"{name}[{place}]"
            prefix = f"{name}."
            found.setdefault(name, number)
        elif key := _KEY.match(line):
            found.setdefault(prefix + _plain(key[1]), number)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)


def _from_text(text: str, *, many: bool) -> Any:
    """A value of the environment or an option: as TOML where it is TOML, else as it stands.

    Where a list is wanted (`many`), commas part its items.
    """
    if len(text) > VALUE_CHARS_MAX:
        return None
    try:
        found = tomllib.loads(f"value = {text}")
        if list(found) == ["value"]:
            return found["value"]
    except tomllib.TOMLDecodeError:
        pass
    return [it.strip() for it in text.split(",") if it.strip()] if many else text
