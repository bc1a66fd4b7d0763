# SPDX-License-Identifier: Apache-2.0
"""What a terms file is read with, and the faults found on the way (terms.md 1.7).

Nothing here raises for a person's mistake: each is noted with its line, and reading goes on, so
that all faults of a file come at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from corridor.errors import Problem
from corridor.limits import Limits
from corridor.policy import values
from corridor.policy.document import List, Map, Node, Scalar
from corridor.policy.profile import Row

_CODES = {"country": "terms-country", "duration": "terms-duration"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of the asset that terms are for. `columns`: None where it has none."""

    asset: str
    service: str
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Text:
    """One text of the file, and where it stands."""

    text: str
    path: str
    line: int


@dataclass(slots=True, kw_only=True)
class Asked:
    """The surroundings of one reading, and its faults so far."""

    source: str
    limits: Limits
    shape: Shape | None
    now: datetime | None
    floors: Mapping[str, int]
    purposes: Mapping[str, str]
    enforced: frozenset[str]
    asset: str = ""
    service: str = ""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def fault(self, path: str, line: int, message: str, code: str) -> None:
        """Note what is wrong and how to mend it."""
        self.problems.append(
            Problem(path=path, message=message, code=code, line=line, source=self.source)
        )

    def warn(self, path: str, line: int, message: str, code: str) -> None:
        """Note what is allowed but seldom meant."""
        self.warnings.append(
            Problem(path=path, message=message, code=code, line=line, source=self.source)
        )

    def map(
        self, node: Node | None, path: str, keys: Iterable[str] | None = None
    ) -> dict[str, tuple[Node, str, int]]:
        """A map's entries as key to (node, path, line); unknown keys are faults."""
        if node is None:
            return {}
        if not isinstance(node, Map):
            self.fault(path, node.line, "must be a map. Write {key: value}.", "terms-value")
            return {}
        found = {}
        known = None if keys is None else list(keys)
        for key, inner in node.entries.items():
            shown = key if key.isprintable() else values.quoted(key)
            where = f"{path}.{shown}" if path else shown
            if known is not None and key not in known:
                self.unknown_key(where, node.lines[key], key, known)
                continue
            found[key] = (inner, where, node.lines[key])
        return found

    def unknown_key(self, path: str, line: int, key: str, known: Iterable[str]) -> None:
        """A key that the grammar does not have here."""
        known = list(known)
        near = difflib.get_close_matches(key, known, n=1)
        mend = f'Did you mean "{near[0]}"?' if near else f"There are: {', '.join(sorted(known))}."
        self.fault(path, line, f"no such key here. {mend}", "terms-unknown-key")

    def scalar(self, node: Node, path: str) -> Text | None:
        """One text."""
        if isinstance(node, List) and len(node.items) == 1:
            node = node.items[0]
        if not isinstance(node, Scalar):
            self.fault(path, node.line, "must be one value. Write it alone.", "terms-value")
            return None
        if not node.text.strip():
            self.fault(path, node.line, "is empty. Write a value, or leave it out.", "terms-value")
            return None
        return Text(node.text, path, node.line)

    def texts(self, node: Node, path: str) -> list[Text]:
        """A list of texts; one may stand alone. Paths have the index, where a list is written."""
        if isinstance(node, Scalar):
            alone = self.scalar(node, path)
            return [alone] if alone else []
        if isinstance(node, Map):
            self.fault(path, node.line, "must be a list. Write [value, value].", "terms-value")
            return []
        most = self.limits.terms_values_max
        if len(node.items) > most:
            self.fault(path, node.line, f"more than {most} values. Shorten it.", "terms-limit")
            return []
        if not node.items:
            self.fault(path, node.line, "is empty. Leave it out.", "terms-value")
        found = (self.scalar(item, f"{path}[{at}]") for at, item in enumerate(node.items))
        return [text for text in found if text]

    def typed(self, kind: str, text: Text) -> str | None:
        """The canonical form of a value, or a fault."""
        try:
            return values.canonical(kind, text.text)
        except values.NoFixedLength as error:
            self.fault(text.path, text.line, str(error), "terms-duration")
        except ValueError as error:
            self.fault(text.path, text.line, str(error), _CODES.get(kind, "terms-value"))
        return None

    def number(self, row: Row, text: Text, *, size: bool = False) -> str | None:
        """A number of a row, within its bounds and this node's floor."""
        try:
            canon = values.size(text.text) if size else values.canonical(row.leaf, text.text)
            canon = values.within(canon, row.low, row.high)
        except ValueError as error:
            self.fault(text.path, text.line, str(error), "terms-value")
            return None
        self.floor(row, canon, text)
        return canon

    def floor(self, row: Row, canon: str, text: Text) -> None:
        """What the operator set for this node (`policy.floors`)."""
        name = "privacy.epsilon" if row.key.startswith("privacy.epsilon.") else row.key
        bound = self.floors.get(name)
        if bound is None:
            return
        given, held = Decimal(canon), Decimal(bound)
        if row.operator == "lteq":
            if given > held:
                message = (
                    f"{canon} is above this node's cap of {bound}. Lower it, or ask the operator "
                    f"to raise policy.floors.{name}."
                )
                self.fault(text.path, text.line, message, "terms-floor")
        elif given < held:
            message = (
                f"{canon} is below this node's floor of {bound}. Raise it, or ask the operator to "
                f"lower policy.floors.{name}."
            )
            self.fault(text.path, text.line, message, "terms-floor")
