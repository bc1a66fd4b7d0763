# SPDX-License-Identifier: Apache-2.0
"""The profile: what exists to be limited, one row an operand and operator (terms.md 1.3, 2.3).

Rows stand in the order in which constraints are written on the wire. `cor:x` in this table is the
whole IRI `COR + x`; `odrl:x` is `ODRL + x`. Whoever looks for "what may terms say" looks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ODRL = "http://www.w3.org/ns/odrl/2/"
PROFILE = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71"
COR = PROFILE + "#"
DPV = "https://w3id.org/dpv#"
VERSION = "1"


def iri(short: str) -> str:
    """The whole IRI of `cor:x`, `odrl:x` or, with another prefix or none, the text itself."""
    if short.startswith("cor:"):
        return COR + short[4:]
    return ODRL + short[5:] if short.startswith("odrl:") else short


def local(whole: str) -> str:
    """The local name of an IRI: `groupUnits`, `dateTime`."""
    return whole.rpartition("#")[2].rpartition("/")[2]


class Action(NamedTuple):
    """A word of the file, its IRI, the services that serve it, the noun that it is counted in."""

    word: str
    iri: str
    services: tuple[str, ...]
    noun: str


SINGLE = {"files": "read", "hosting": "invoke"}
"""Services with exactly one action, for which `use` stands."""

ACTIONS = (
    Action("use", iri("odrl:use"), tuple(SINGLE), "requests"),
    Action(
        "read",
        iri("odrl:read"),
        (
            "files", "tables", "buckets", "threats", "matching", "credentials", "border",
            "settlement",
        ),
        "requests",
    ),
    Action("aggregate", iri("cor:aggregate"), ("tables", "joint"), "queries"),
    Action("train", iri("cor:train"), ("joint",), "rounds"),
    Action("execute", iri("cor:execute"), ("jobs",), "jobs"),
    Action("store", iri("cor:store"), ("buckets",), "requests"),
    Action("invoke", iri("cor:invoke"), ("hosting",), "requests"),
    Action("share", iri("odrl:distribute"), (), ""),
)  # fmt: skip
BY_WORD = {action.word: action for action in ACTIONS}
BY_IRI = {action.iri: action for action in ACTIONS}
SERVICES = tuple(dict.fromkeys(name for action in ACTIONS for name in action.services))

PURPOSES = {
    "official-statistics": DPV + "ProvideOfficialStatistics",
    "scientific-research": DPV + "ScientificResearch",
    "academic-research": DPV + "AcademicResearch",
    "fraud-detection": DPV + "FraudPreventionAndDetection",
    "legal-compliance": DPV + "LegalCompliance",
    "public-security": DPV + "ProtectionOfPublicSecurity",
    "policy-making": DPV + "PublicPolicyMaking",
    "cyber-defence": COR + "purpose-cyber-defence",
    "border-control": COR + "purpose-border-control",
    "hosting": COR + "purpose-hosting",
}

FORBID = {
    "re-identify": iri("cor:reidentify"),
    "link": iri("cor:link"),
    "share": iri("odrl:distribute"),
    "sell": iri("odrl:sell"),
    "train": iri("cor:train"),
}
"""Prohibitions that may be offered, each a promise. Never conditional."""

FORBID_WORDS = {whole: word for word, whole in FORBID.items()}

DELETE, REPORT, ATTRIBUTE, NOTIFY, NOTICE = (
    iri("odrl:delete"),
    iri("cor:reportUse"),
    iri("odrl:attribute"),
    iri("odrl:inform"),
    iri("cor:giveNotice"),
)
EVENT, ELAPSED, INTERVAL, ATTRIBUTION, DELAY = (
    iri("odrl:event"),
    iri("odrl:elapsedTime"),
    iri("odrl:timeInterval"),
    iri("cor:attribution"),
    iri("odrl:delayPeriod"),
)


class DutyForm(NamedTuple):
    """A duty's word and exactly the constraints that it has: (operand, operator, type)."""

    word: str
    constraints: tuple[tuple[str, str, str], ...]
    events: tuple[str, ...] = ()


_WITHIN = (ELAPSED, "lteq", "duration")
_ON = (EVENT, "gt", "iri")
DUTIES = {
    DELETE: DutyForm("delete", (_ON, _WITHIN), ("receipt", "agreementEnd")),
    REPORT: DutyForm("report", ((INTERVAL, "lteq", "duration"),)),
    ATTRIBUTE: DutyForm("attribute", ((ATTRIBUTION, "eq", "text"),)),
    NOTIFY: DutyForm(
        "notify", (_ON, _WITHIN), ("event-incident", "event-breach", "event-publication")
    ),
    NOTICE: DutyForm("giveNotice", ((DELAY, "gteq", "duration"),)),
}


class Row(NamedTuple):
    """One operand with one operator: everything that the code knows of it.

    `type` is a key of values.CANONICAL, `[]` behind it a set. `points`: C N S R A, where it is
    due. `tighter`: what makes a value narrower (4.3). `public` is the name in a refusal.
    `services` empty: whatever serves the action. `judge`: enforced by judge and engine themselves,
    so no service need register it. `low`, `high`: bounds of a number, `>` or `<` in front where
    the bound itself is outside.
    """

    key: str
    operand: str
    type: str
    operator: str
    points: str
    tighter: str
    public: str
    actions: tuple[str, ...]
    services: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    judge: bool = False

    @property
    def is_set(self) -> bool:
        """Whether its value is a set."""
        return self.type.endswith("[]")

    @property
    def leaf(self) -> str:
        """The type of one value."""
        return self.type.removesuffix("[]")


SHARED = tuple(action.word for action in ACTIONS)
SERVED = SHARED[:-1]
DATA = ("read", "aggregate", "train")
STATISTICS = ("aggregate",)
TRAINING = ("train",)
PRIVATE = ("aggregate", "train")
ROOMS = ("tables", "joint")
WINDOW_NAMES = {
    word: word.capitalize() for word in ("minute", "hour", "day", "week", "month", "year")
}
LIFE_TOO = {**WINDOW_NAMES, "total": "Agreement"}
_COUNTED = {
    "requests": ("use", "read", "store", "invoke"),
    "queries": STATISTICS,
    "rounds": TRAINING,
    "jobs": ("execute",),
}
_METERED = {
    "bytes": ("bytes", SERVED),
    "rows": ("rows", ("read", "aggregate")),
    "cpu_seconds": ("cpuSeconds", ("execute",)),
}

_WHO_WHEN = (
    ("purpose", "odrl:purpose", "iri[]", "isAnyOf", "R", "subset", "purpose"),
    ("from", "odrl:dateTime", "instant", "gteq", "SRA", "later", "time"),
    ("until", "odrl:dateTime", "instant", "lt", "CSRA", "earlier", "time"),
    ("for", "odrl:elapsedTime", "duration", "lteq", "SRA", "shorter", "time"),
    ("spatial", "odrl:spatial", "country[]", "isAnyOf", "CNSR", "subset", "spatial"),
    ("recipient", "odrl:recipient", "did[]", "isAnyOf", "CNSR", "subset", "recipient"),
    ("require.credentials", "cor:credential", "credential[]", "isAllOf", "CNSR", "superset",
     "credential"),
    ("require.claims", "cor:claim", "claim[]", "isAllOf", "CNSR", "superset", "claim"),
    ("require.approval", "cor:approval", "role[]", "isAllOf", "NSR", "superset", "approval"),
)  # fmt: skip

_MILLION = "1000000"
_LIMITS = (
    ("columns.unit", "cor:unit", "column", "eq", "R", "equal", "columns", DATA, ROOMS),
    ("columns.dimension", "cor:dimension", "column[]", "isAnyOf", "R", "subset", "columns", DATA,
     ROOMS),
    ("columns.filter", "cor:filter", "column[]", "isAnyOf", "R", "subset", "columns", DATA, ROOMS),
    ("columns.join-only", "cor:joinKey", "column[]", "isAnyOf", "R", "subset", "columns", DATA,
     ROOMS),
    ("columns.measure", "cor:measure", "measure[]", "isAnyOf", "R", "interval", "columns", DATA,
     ROOMS),
    ("rows", "cor:rowFilter", "predicate[]", "isAllOf", "SR", "superset", "rows", DATA, ROOMS),
    ("min_group_size", "cor:groupUnits", "int", "gteq", "RA", "larger", "disclosure", STATISTICS,
     ROOMS, "2", _MILLION),
    ("min_complement", "cor:complementUnits", "int", "gteq", "RA", "larger", "disclosure",
     STATISTICS, ROOMS, "2", _MILLION),
    ("dominance.n", "cor:topContributors", "int", "eq", "A", "equal", "disclosure", STATISTICS,
     ROOMS, "1", "5"),
    ("dominance.percent", "cor:topShare", "dec", "lteq", "A", "smaller", "disclosure", STATISTICS,
     ROOMS, "1", "100"),
    ("p_percent", "cor:contributorGap", "dec", "gteq", "A", "larger", "disclosure", STATISTICS,
     ROOMS, "0", "100"),
    ("rounding", "cor:roundingBase", "int", "eq", "A", "multiple", "disclosure", STATISTICS,
     ROOMS, "2"),
    ("max_groups", "cor:groups", "int", "lteq", "RA", "smaller", "resource", STATISTICS,
     ("tables",), "1"),
    ("max_rows", "cor:resultRows", "int", "lteq", "RA", "smaller", "rows", ("read", "aggregate"),
     ("tables",), "1", _MILLION),
    ("time_limit", "cor:answerSeconds", "int", "lteq", "RA", "smaller", "resource", DATA, ROOMS,
     "1", "3600"),
    ("max_params_share", "cor:parameterShare", "dec", "lteq", "R", "smaller", "disclosure",
     TRAINING, ("joint",), "0", "1"),
    ("min_parties", "cor:secureSumParties", "int", "gteq", "SRA", "larger", "model", TRAINING,
     ("joint",), "3", _MILLION),
    ("min_units", "cor:trainingUnits", "int", "gteq", "SRA", "larger", "disclosure", TRAINING,
     ("joint",), "2", _MILLION),
    ("min_level", "cor:levelUnits", "int", "gteq", "SRA", "larger", "disclosure", TRAINING,
     ("joint",), "2", _MILLION),
    ("functions", "cor:function", "function[]", "isAnyOf", "R", "subset", "function", STATISTICS,
     ROOMS),
    ("join_with", "cor:joinTarget", "asset[]", "isAnyOf", "R", "subset", "join", STATISTICS, ROOMS),
    ("models", "cor:model", "model[]", "isAnyOf", "R", "subset", "model", TRAINING, ("joint",)),
    ("circle.parties", "cor:circleParty", "did[]", "isAllOf", "NSR", "equal", "recipient",
     STATISTICS, ROOMS),
    ("circle.collude", "cor:circleColluders", "int", "gteq", "NSR", "larger", "recipient",
     STATISTICS, ROOMS, "1", _MILLION),
    ("images", "cor:image", "digest[]", "isAnyOf", "R", "subset", "image", ("execute",)),
    ("cpu", "cor:cpuCores", "int", "lteq", "R", "smaller", "resource", ("execute",), (), "1"),
    ("memory", "cor:memoryBytes", "int", "lteq", "R", "smaller", "resource", ("execute",), (), "1"),
    ("disk", "cor:diskBytes", "int", "lteq", "R", "smaller", "resource", ("execute",), (), "1"),
    ("job_time", "cor:jobSeconds", "int", "lteq", "R", "smaller", "resource", ("execute",), (),
     "1"),
    ("network", "cor:network", "network", "eq", "R", "network", "resource", ("execute",)),
    ("outputs", "cor:outputs", "outputs", "eq", "A", "outputs", "resource", ("execute",)),
    ("capacity", "cor:storedBytes", "int", "lteq", "R", "smaller", "size", ("store",), (), "1"),
    ("objects", "cor:storedObjects", "int", "lteq", "R", "smaller", "size", ("store",), (), "1"),
    ("operations", "cor:operation", "operation[]", "isAnyOf", "R", "subset", "operation",
     ("store", "read"), ("buckets",)),
    ("keep", "cor:keptFor", "duration", "gteq", "SA", "promised", "resource", ("store",)),
    ("copies", "cor:copies", "int", "gteq", "SA", "promised", "resource", ("store",), (), "1",
     "100"),
    ("methods", "cor:method", "method[]", "isAnyOf", "R", "subset", "method", ("invoke", "use"),
     ("hosting",)),
    ("paths", "cor:path", "path[]", "isAnyOf", "R", "paths", "path", ("invoke", "use"),
     ("hosting",)),
    ("request_size", "cor:requestBytes", "int", "lteq", "R", "smaller", "size", ("invoke", "use"),
     ("hosting",), "0"),
    ("tlp", "cor:tlp", "tlp[]", "isAnyOf", "RA", "subset", "tlp", ("read", "share"), ("threats",)),
    ("kinds", "cor:objectType", "kind[]", "isAnyOf", "RA", "subset", "kind", ("read",),
     ("threats",)),
)  # fmt: skip

_PRIVACY = (
    ("privacy.per_answer", "cor:epsilonPerAnswer", "dec", "lteq", "R", "smaller", "quota.privacy",
     PRIVATE, ROOMS, ">0", "100"),
    ("privacy.delta", "cor:delta", "dec", "lteq", "R", "smaller", "quota.privacy", PRIVATE, ROOMS,
     ">0", "<0.001"),
    ("privacy.rows_per_unit", "cor:unitRows", "int", "lteq", "R", "smaller", "quota.privacy",
     PRIVATE, ROOMS, "1", _MILLION),
    ("privacy.groups_per_unit", "cor:unitGroups", "int", "lteq", "R", "smaller", "quota.privacy",
     PRIVATE, ROOMS, "1", _MILLION),
)  # fmt: skip


def _rows() -> Iterable[Row]:
    for who_when in _WHO_WHEN:
        yield Row(*who_when, actions=SHARED, judge=True)
    for limit in _LIMITS:
        yield Row(*limit)
    for word, name in LIFE_TOO.items():
        yield Row(
            f"privacy.epsilon.{word}", f"cor:epsilonPer{name}", "dec", "lteq", "SR", "smaller",
            "quota.privacy", PRIVATE, ROOMS, ">0", "100",
        )  # fmt: skip
    for private in _PRIVACY:
        yield Row(*private)
    for noun, actions in _COUNTED.items():
        for word, name in WINDOW_NAMES.items():
            key = f"quota.{noun}.{word}"
            yield Row(
                key, f"cor:{noun}Per{name}", "int", "lteq", "SR", "smaller", key, actions,
                judge=True,
            )  # fmt: skip
    yield Row(
        "quota.NOUN.total", "odrl:count", "int", "lteq", "SR", "smaller", "quota.NOUN.total",
        SERVED, judge=True,
    )  # fmt: skip
    for noun, (stem, actions) in _METERED.items():
        for word, name in LIFE_TOO.items():
            key = f"quota.{noun}.{word}"
            yield Row(key, f"cor:{stem}Per{name}", "int", "lteq", "SRA", "smaller", key, actions)


DEFAULTS = {
    "aggregate": (
        ("min_group_size", "10"), ("min_complement", "10"), ("dominance.n", "1"),
        ("dominance.percent", "50"), ("p_percent", "10"), ("max_groups", "10000"),
        ("max_rows", "10000"), ("time_limit", "30"),
        ("functions", "count sum avg variance stddev"),
    ),
    "read": (("time_limit", "30"), ("operations", "get list")),
    "train": (
        ("time_limit", "30"), ("max_params_share", "0.1"), ("min_parties", "3"),
        ("min_units", "100"), ("min_level", "10"),
    ),
    "execute": (
        ("cpu", "1"), ("memory", str(1 << 30)), ("disk", str(1 << 30)), ("job_time", "3600"),
        ("network", "none"), ("outputs", "review"),
    ),
    "store": (("objects", _MILLION), ("operations", "get put delete list"), ("copies", "1")),
    "invoke": (("methods", "GET HEAD"), ("request_size", str(1 << 20))),
    "share": (),
}  # fmt: skip
"""What a rule says where the file is silent; a set's values apart by spaces (terms.md 1.3)."""

NEEDED = {
    "aggregate": ("columns",), "train": ("columns", "models"), "execute": ("images",),
    "store": ("capacity",), "invoke": ("paths",),
}  # fmt: skip
"""Keys without which a rule means nothing, beside those of `needed`."""

PRIVACY_DEFAULTS = (
    ("privacy.per_answer", "0.5"), ("privacy.delta", "0.000001"), ("privacy.rows_per_unit", "1"),
    ("privacy.groups_per_unit", "1"),
)  # fmt: skip


def needed(action: str, service: str) -> tuple[str, ...]:
    """The keys that a rule of this action must have."""
    if action in {"read", "use"}:
        needs = {"tables": ("columns",), "hosting": NEEDED["invoke"], "threats": ("tlp",)}
        return needs.get(service, ())
    return NEEDED.get(action, ()) + (("tlp",) if (action, service) == ("share", "threats") else ())


def carries(action: str, service: str, row: Row) -> bool:
    """Whether a rule of this action on an asset of this service may carry the row's key."""
    words = {action, SINGLE.get(service, "use")} if action == "use" else {action}
    return not words.isdisjoint(row.actions) and (not row.services or service in row.services)


def defaults(action: str, service: str) -> tuple[tuple[str, str], ...]:
    """The defaults of an action as this service's rules carry them, as (key, text)."""
    word = SINGLE.get(service, "read") if action == "use" else action
    return tuple(
        (key, given) for key, given in DEFAULTS[word] if carries(word, service, BY_KEY[key])
    )


ROWS = tuple(row._replace(operand=iri(row.operand)) for row in _rows())
BY_KEY = {row.key: row for row in ROWS}
BY_TERM = {(row.operand, row.operator): row for row in ROWS}
ORDER = {(row.operand, row.operator): place for place, row in enumerate(ROWS)}
OPERANDS = frozenset(row.operand for row in ROWS)
OF_THE_JUDGE = frozenset(row.operand for row in ROWS if row.judge)
_LOCALS = {local(operand): operand for operand in OPERANDS}


def metered(noun: str) -> frozenset[str]:
    """The operands of a metered noun (`bytes`, `rows`, `cpu_seconds`), for a service to register.

    Raises KeyError for another noun.
    """
    stem = _METERED[noun][0]
    return frozenset(COR + f"{stem}Per{name}" for name in LIFE_TOO.values())


def registered(names: Iterable[str]) -> frozenset[str]:
    """Operands as services name them (`cor:x`, `odrl:x`, a local name, an IRI) as whole IRIs.

    Names that are in no row are dropped: nothing can be offered under them.
    """
    whole = (iri(name) for name in names)
    return frozenset(_LOCALS.get(name, name) for name in whole) & OPERANDS
