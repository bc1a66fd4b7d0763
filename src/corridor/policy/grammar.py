# SPDX-License-Identifier: Apache-2.0
"""The keys of one rule of a terms file, each read into canonical values (terms.md 1.3, 1.4)."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from corridor.policy import canonical, profile, values
from corridor.policy.asked import Asked, Text
from corridor.policy.document import List, Map, Node, Scalar
from corridor.policy.model import Constraint, OdrlRule, Value
from corridor.policy.profile import ACTIONS, BY_KEY, BY_WORD, ROWS

ROLES = ("unit", "dimension", "measure", "filter", "join-only", "hidden")
_SIZES = ("memory", "disk", "capacity", "request_size")
RULE_KEYS = ("action", *dict.fromkeys(row.key.partition(".")[0] for row in ROWS))
REQUIRE = ("credentials", "claims", "approval")


@dataclass(slots=True)
class Required:
    """`require` of a file or of a rule: canonical sets, with where they stand."""

    credentials: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    approval: tuple[str, ...] = ()

    def __or__(self, other: Required) -> Required:
        return Required(
            canonical.in_order(self.credentials + other.credentials),
            canonical.in_order(self.claims + other.claims),
            canonical.in_order(self.approval + other.approval),
        )


def require(asked: Asked, node: Node, path: str) -> Required:
    """`{credentials, claims, approval}`."""
    found = Required()
    for key, (inner, where, _) in asked.map(node, path, REQUIRE).items():
        if key == "claims":
            found.claims = claims(asked, inner, where)
        elif key == "credentials":
            found.credentials = typed_set(asked, "credential", inner, where)
        else:
            found.approval = typed_set(asked, "role", inner, where)
    return found


def claims(asked: Asked, node: Node, path: str) -> tuple[str, ...]:
    """A map of `Type.name` to text, as `Type.name=text`.

    A list of texts is taken too: it is what a file's and a rule's claims of one name unite to.
    """
    found = []
    for name, (inner, where, _) in asked.map(node, path).items():
        for text in asked.texts(inner, where):
            whole = Text(f"{name}={text.text}", text.path, text.line)
            found.append(asked.typed("claim", whole))
    return canonical.in_order(one for one in found if one)


def typed_set(asked: Asked, kind: str, node: Node, path: str) -> tuple[str, ...]:
    """A set of one type."""
    found = (asked.typed(kind, text) for text in asked.texts(node, path))
    return canonical.in_order(one for one in found if one is not None)


@dataclass(slots=True)
class RuleReader:
    """Reads one rule. `given` holds canonical values by row key, `where` the place of each.

    `written` are the keys that stand in the file, also those whose values are faulty.
    """

    asked: Asked
    path: str
    line: int
    required: Required
    action: str = ""
    given: dict[str, Value] = field(default_factory=dict)
    where: dict[str, Text] = field(default_factory=dict)
    written: frozenset[str] = frozenset()

    def read(self, node: Node) -> OdrlRule | None:
        """The rule as a permission; None where its action is not known."""
        if not isinstance(node, Map):
            self.asked.fault(
                self.path, node.line, "must be a map. Write {action: …}.", "terms-value"
            )
            return None
        self.line, self.written = node.line, frozenset(node.entries)
        if not self._action(node):
            self._unknown(node)
            return None
        for key, inner in node.entries.items():
            shown = key if key.isprintable() else values.quoted(key)
            path, line = f"{self.path}.{shown}", node.lines[key]
            if key == "action":
                continue
            if key not in RULE_KEYS:
                self.asked.unknown_key(path, line, key, self._keys())
            elif key not in self._keys():
                what = f"{self.action} on {self.asked.service} takes no {key}. Take it out."
                self.asked.fault(path, line, what, "terms-unknown-key")
            else:
                self._key(key, inner, path, line)
        self._fill()
        self._check()
        return canonical.rule(
            BY_WORD[self.action].iri,
            (
                Constraint(BY_KEY[key].operand, BY_KEY[key].operator, value)
                for key, value in self.given.items()
            ),
        )

    def _unknown(self, node: Map) -> None:
        for key, line in node.lines.items():
            if key not in RULE_KEYS:
                shown = key if key.isprintable() else values.quoted(key)
                self.asked.unknown_key(f"{self.path}.{shown}", line, key, RULE_KEYS)

    def _keys(self) -> list[str]:
        carried = (
            row.key.partition(".")[0]
            for row in ROWS
            if profile.carries(self.action, self.asked.service, row)
        )
        return ["action", *dict.fromkeys(carried)]

    def _action(self, node: Map) -> bool:
        asked, service = self.asked, self.asked.service
        inner = node.entries.get("action")
        path = f"{self.path}.action"
        offers = ", ".join(action.word for action in ACTIONS if service in action.services)
        if inner is None:
            # A misspelt key is told as one fault, not as two.
            if not difflib.get_close_matches("action", node.entries):
                message = f"has no action. Write one of: {offers}."
                asked.fault(self.path, node.line, message, "terms-missing")
            return False
        text = asked.scalar(inner, path)
        if text is None:
            return False
        action = BY_WORD.get(text.text)
        if action and (action.word == "share" or service in action.services):
            self.action = action.word
            self.where["action"] = text
            return True
        what = "is not offered there" if action else "is no action"
        asked.fault(
            path,
            text.line,
            f"{values.quoted(text.text)} {what}. The asset {asked.asset} ({service}) offers: "
            f"{offers}.",
            "terms-action",
        )
        return False

    def _put(self, key: str, value: Value | None, path: str, line: int) -> None:
        if value is not None and value != ():
            self.given[key] = value
            self.where[key] = Text("", path, line)

    def _key(self, key: str, node: Node, path: str, line: int) -> None:
        special = _SPECIAL.get(key)
        if special:
            special(self, node, path, line)
            return
        row = BY_KEY[key]
        if row.is_set:
            self._put(key, typed_set(self.asked, row.leaf, node, path), path, line)
            return
        text = self.asked.scalar(node, path)
        if text is None:
            return
        if row.leaf in {"int", "dec"}:
            value = self.asked.number(row, text, size=key in _SIZES)
        else:
            value = self.asked.typed(row.leaf, text)
        self._put(key, value, path, line)

    def _purpose(self, node: Node, path: str, line: int) -> None:
        known = {**profile.PURPOSES, **self.asked.purposes}
        found = []
        for text in self.asked.texts(node, path):
            whole = known.get(text.text, text.text)
            try:
                found.append(values.iri(whole))
            except ValueError:
                message = (
                    f"{values.quoted(text.text)} is no purpose. Write one of: "
                    f"{', '.join(sorted(known))}; or a whole IRI."
                )
                self.asked.fault(text.path, text.line, message, "terms-value")
        self._put("purpose", canonical.in_order(found), path, line)

    def _from(self, node: Node, path: str, line: int) -> None:
        self._put("from", self._moment(node, path, days=0), path, line)

    def _until(self, node: Node, path: str, line: int) -> None:
        value = self._moment(node, path, days=1)
        self._put("until", value, path, line)
        now = self.asked.now
        if value and now is not None and values.moment(value) <= now:
            text = self.asked.scalar(node, path)
            today = now.astimezone(UTC).date().isoformat()
            message = (
                f"{text.text if text else value} is past. An offer must end after today "
                f"({today} UTC)."
            )
            self.asked.fault(path, line, message, "terms-past")

    def _moment(self, node: Node, path: str, *, days: int) -> str | None:
        """An instant, or a date that begins it; `until` includes its whole day."""
        text = self.asked.scalar(node, path)
        if text is None:
            return None
        if "T" in text.text:
            return self.asked.typed("instant", text)
        try:
            begins = datetime.combine(values.day(text.text), time(), UTC)
            return values.instant(values.instant_text(begins + timedelta(days=days)))
        except OverflowError:
            self.asked.fault(path, text.line, "is too late. Write an earlier date.", "terms-value")
        except ValueError as error:
            self.asked.fault(path, text.line, str(error), "terms-value")
        return None

    def _require(self, node: Node, path: str, _: int) -> None:
        self.required = self.required | require(self.asked, node, path)

    def _quota(self, node: Node, path: str, _: int) -> None:
        own = BY_WORD[self._concrete()].noun
        nouns = [own, "bytes", "rows", "cpu_seconds"]
        carried = [n for n in nouns if n == own or self._carries(f"quota.{n}.total")]
        for noun, (inner, where, _line) in self.asked.map(node, path, carried).items():
            for window, (number, spot, line) in self.asked.map(
                inner, where, profile.LIFE_TOO
            ).items():
                total = noun == own and window == "total"
                key = "quota.NOUN.total" if total else f"quota.{noun}.{window}"
                text = self.asked.scalar(number, spot)
                if text is None:
                    continue
                value = self.asked.number(BY_KEY[key], text, size=noun == "bytes")
                if value == "0":
                    message = "0 means that nothing could ever be asked. Raise it."
                    self.asked.fault(spot, line, message, "terms-never")
                self._put(key, value, spot, line)

    def _concrete(self) -> str:
        return profile.SINGLE[self.asked.service] if self.action == "use" else self.action

    def _carries(self, key: str) -> bool:
        return profile.carries(self.action, self.asked.service, BY_KEY[key])

    def _columns(self, node: Node, path: str, line: int) -> None:
        most = self.asked.limits.terms_columns_max
        if isinstance(node, Map) and len(node.entries) > most:
            self.asked.fault(path, line, f"more than {most} columns. Shorten it.", "terms-limit")
            return
        faults = len(self.asked.problems)
        roles: dict[str, list[str]] = {}
        for name, (inner, where, spot) in self.asked.map(node, path).items():
            column = self.asked.typed("column", Text(name, where, spot))
            if column is None or not self._has(column, where, spot):
                continue
            for role, value in self._roles(inner, where, column):
                roles.setdefault(role, []).append(value)
        self.where["columns"] = Text("", path, line)
        for role in ("dimension", "measure", "filter", "join-only"):
            self._put(f"columns.{role}", canonical.in_order(roles.get(role, ())), path, line)
        units = roles.get("unit", [])
        if len(units) > 1:
            message = f"{' and '.join(units)} are both unit. Leave one."
            self.asked.fault(path, line, message, "terms-value")
        elif units:
            self._put("columns.unit", units[0], path, line)
        elif self.action in profile.PRIVATE and len(self.asked.problems) == faults:
            self._no_unit(roles, path, line)

    def _no_unit(self, roles: dict[str, list[str]], path: str, line: int) -> None:
        named = {values.measure_parts(value)[0] for each in roles.values() for value in each}
        has = self.asked.shape.columns if self.asked.shape else None
        free = [name for name in has or () if name not in named] or ["COLUMN"]
        counts = "min_group_size" if self.action == "aggregate" else "min_units"
        message = (
            f"no unit. {counts} counts units; mark the column that identifies one: {free[0]}: unit."
        )
        self.asked.fault(path, line, message, "terms-no-unit")

    def _has(self, column: str, path: str, line: int) -> bool:
        shape = self.asked.shape
        if shape is None or shape.columns is None or column in shape.columns:
            return True
        message = (
            f"the asset {shape.asset} has no such column. It has: "
            f"{', '.join(sorted(shape.columns))}."
        )
        self.asked.fault(path, line, message, "terms-column")
        return False

    def _roles(self, node: Node, path: str, column: str) -> list[tuple[str, str]]:
        """The roles of one column, as (role, canonical value)."""
        found = []
        for inner in node.items if isinstance(node, List) else (node,):
            if isinstance(inner, Map):
                for bounds, where, _ in self.asked.map(inner, path, ("measure",)).values():
                    found.append(("measure", self._measure(bounds, where, column)))
                continue
            text = self.asked.scalar(inner, path)
            if text is None:
                continue
            if text.text not in ROLES:
                message = (
                    f"{values.quoted(text.text)} is no role. Write one of: {', '.join(ROLES)}."
                )
                self.asked.fault(path, text.line, message, "terms-value")
            elif text.text == "measure" and self.action in profile.PRIVATE:
                article = "an" if self.action == "aggregate" else "a"
                message = (
                    f"a measure in {article} {self.action} rule needs bounds. "
                    "Write {measure: [low, high]}."
                )
                self.asked.fault(path, text.line, message, "terms-bounds")
            elif text.text != "hidden":
                found.append((text.text, column))
        return [(role, value) for role, value in found if value]

    def _measure(self, node: Node, path: str, column: str) -> str:
        bounds = self.asked.texts(node, path)
        if len(bounds) != 2:
            message = "bounds are two numbers. Write {measure: [low, high]}."
            self.asked.fault(path, node.line, message, "terms-bounds")
            return ""
        whole = Text(f"{column}[{bounds[0].text},{bounds[1].text}]", path, node.line)
        return self.asked.typed("measure", whole) or ""

    def _parts(self, node: Node, path: str, key: str, names: tuple[str, ...]) -> None:
        """A map of numbers, each a row of its own."""
        for name, (inner, where, line) in self.asked.map(node, path, names).items():
            text = self.asked.scalar(inner, where)
            if text:
                row = BY_KEY[f"{key}.{name}"]
                self._put(row.key, self.asked.number(row, text), where, line)

    def _dominance(self, node: Node, path: str, _: int) -> None:
        self._parts(node, path, "dominance", ("n", "percent"))

    def _circle(self, node: Node, path: str, line: int) -> None:
        self._put("circle.collude", "1", path, line)
        for name, (inner, where, spot) in self.asked.map(
            node, path, ("parties", "collude")
        ).items():
            if name == "parties":
                self._put("circle.parties", typed_set(self.asked, "did", inner, where), where, spot)
            else:
                text = self.asked.scalar(inner, where)
                if text:
                    row = BY_KEY["circle.collude"]
                    self._put(row.key, self.asked.number(row, text), where, spot)
        if "circle.parties" not in self.given:
            self.asked.fault(path, line, "has no parties. Write their DIDs.", "terms-missing")

    def _privacy(self, node: Node, path: str, line: int) -> None:
        names = tuple(key.partition(".")[2] for key, _ in profile.PRIVACY_DEFAULTS)
        entries = self.asked.map(node, path, ("epsilon", "per", *names))
        per, epsilon = entries.get("per"), entries.get("epsilon")
        window = "total"
        if per:
            text = self.asked.scalar(per[0], per[1])
            window = text.text if text else "total"
            if window not in profile.LIFE_TOO:
                message = (
                    f"{values.quoted(window)} is no window. Write one of: "
                    f"{' '.join(profile.LIFE_TOO)}."
                )
                self.asked.fault(per[1], per[2], message, "terms-value")
                window = "total"
        if epsilon is None:
            self.asked.fault(path, line, "has no epsilon. Write one.", "terms-missing")
        else:
            text = self.asked.scalar(epsilon[0], epsilon[1])
            row = BY_KEY[f"privacy.epsilon.{window}"]
            if text:
                self._put(row.key, self.asked.number(row, text), *epsilon[1:])
        for key, given in profile.PRIVACY_DEFAULTS:
            self._put(key, given, f"{path}.{key.partition('.')[2]}", line)
        rest = {name: entry[0] for name, entry in entries.items() if name in names}
        lines = {name: entry[2] for name, entry in entries.items() if name in names}
        self._parts(Map(rest, lines, line), path, "privacy", names)
        self._never(window)

    def _never(self, window: str) -> None:
        most, each = self.given.get(f"privacy.epsilon.{window}"), self.given["privacy.per_answer"]
        if isinstance(most, str) and isinstance(each, str) and Decimal(each) > Decimal(most):
            place = self.where["privacy.per_answer"]
            message = (
                f"{each} is more than epsilon {most}, so no answer could ever be given. Lower it."
            )
            self.asked.fault(place.path, place.line, message, "terms-never")

    def _tlp(self, node: Node, path: str, line: int) -> None:
        text = self.asked.scalar(node, path)
        highest = self.asked.typed("tlp", text) if text else None
        if highest:
            upto = values.TLP[: values.TLP.index(highest) + 1]
            self._put("tlp", canonical.in_order(upto), path, line)

    def _paths(self, node: Node, path: str, line: int) -> None:
        found = typed_set(self.asked, "path", node, path)
        stars = [one[:-1] for one in found if one.endswith("*")]

        def covered(one: str) -> bool:
            bare = one.removesuffix("*")
            return any(bare.startswith(star) and one != star + "*" for star in stars)

        self._put("paths", tuple(one for one in found if not covered(one)), path, line)

    def _fill(self) -> None:
        """Defaults written out, and what every rule requires."""
        for key, given in profile.defaults(self.action, self.asked.service):
            if key not in self.given and key not in self.written:
                row = BY_KEY[key]
                self.given[key] = canonical.in_order(given.split()) if row.is_set else given
                if row.leaf in {"int", "dec"}:
                    self.asked.floor(row, given, Text("", f"{self.path}.{key}", self.line))
        for key in REQUIRE:
            needed = getattr(self.required, key)
            if needed:
                self.given[f"require.{key}"] = needed

    def _check(self) -> None:
        asked = self.asked
        for key in profile.needed(self.action, asked.service):
            if key not in self.written:
                message = f"{self.action} on {asked.service} needs {key}. Add it."
                asked.fault(self.path, self.line, message, "terms-missing")
        begins, ends = self.given.get("from"), self.given.get("until")
        if begins and ends and values.moment(str(begins)) >= values.moment(str(ends)):
            place = self.where["from"]
            message = "is not before until, so nothing could ever be asked. Write an earlier one."
            asked.fault(place.path, place.line, message, "terms-never")
        self._enforced()
        if "until" not in self.given and "for" not in self.given:
            message = "has no until. Write one, or live with terms that never end."
            asked.warn(self.path, self.line, message, "terms-no-until")
        if "privacy.per_answer" in self.given and "purpose" not in self.given:
            message = "has privacy without purpose. Name what the budget is for."
            asked.warn(self.path, self.line, message, "terms-privacy-without-purpose")

    def _enforced(self) -> None:
        """What no service of this node enforces can be neither written nor be a default."""
        defaulted = []
        for key in self.given:
            row = BY_KEY[key]
            if row.judge or row.operand in self.asked.enforced:
                continue
            place = self.where.get(key)
            if place:
                message = f"no service of this node enforces {key}. Leave it out."
                self.asked.fault(place.path, place.line, message, "terms-unenforced")
            else:
                defaulted.append(key)
        if defaulted:
            place = self.where["action"]
            message = (
                f'"{self.action}" needs {", ".join(defaulted)}, which no service of this node '
                "enforces. Choose another action."
            )
            self.asked.fault(place.path, place.line, message, "terms-unenforced")


_SPECIAL: dict[str, Callable[[RuleReader, Node, str, int], None]] = {
    # Methods of the class above: its own table, made once.
    "purpose": RuleReader._purpose,  # noqa: SLF001 - the class is of this module
    "from": RuleReader._from,  # noqa: SLF001 - the class is of this module
    "until": RuleReader._until,  # noqa: SLF001 - the class is of this module
    "require": RuleReader._require,  # noqa: SLF001 - the class is of this module
    "quota": RuleReader._quota,  # noqa: SLF001 - the class is of this module
    "columns": RuleReader._columns,  # noqa: SLF001 - the class is of this module
    "dominance": RuleReader._dominance,  # noqa: SLF001 - the class is of this module
    "circle": RuleReader._circle,  # noqa: SLF001 - the class is of this module
    "privacy": RuleReader._privacy,  # noqa: SLF001 - the class is of this module
    "tlp": RuleReader._tlp,  # noqa: SLF001 - the class is of this module
    "paths": RuleReader._paths,  # noqa: SLF001 - the class is of this module
}


__all__ = ["REQUIRE", "Required", "RuleReader", "Scalar", "claims", "require", "typed_set"]
