# SPDX-License-Identifier: Apache-2.0
"""What a consumer asks of a table: read strictly, checked, typed; no engine is involved.

The body is `select, where [[column, op, value]…], order, limit, purpose` (node.md d). What comes
out of here is all that SQL is later made of: column names that stand in the agreement, operators of
a fixed set, values bound as parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec

from corridor.errors import Invalid, MalformedMessage, Problem, QueryRefused
from corridor.limits import Limits
from corridor.wire import codec

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in")
NO_SQL = "SQL comes with disclosure control, not in this version"
EXAMPLE = '{"select": […], "where": [["column", "=", value]], "order": ["column"], "limit": 100}'
_SAFE_INTEGER = 10**38
_INT64 = 1 << 63
_SAFE_DECIMAL = 10**20
_PURPOSE_MAX = 2000
_PREDICATE = re.compile(r"(\S+) (=|!=|<|<=|>|>=|in) (.+)\Z", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'|[^,()\s]+")

Value = str | int | float | bool | None


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body as read; nothing checked against the table yet."""

    select: list[str] | None = None
    where: list[tuple[str, str, Any]] = []
    order: list[str | tuple[str, str]] = []
    limit: int | None = None
    purpose: str | None = None

    def uses(self, otherwise: Sequence[str]) -> dict[str, frozenset[str]]:
        """Column to its uses: return, filter, order. `otherwise`: what is selected by default."""
        uses: dict[str, set[str]] = {}
        for name in self.selected(otherwise):
            uses.setdefault(name, set()).add("return")
        for name, _, _ in self.where:
            uses.setdefault(name, set()).add("filter")
        for name, _ in self.ordered():
            uses.setdefault(name, set()).add("order")
        return {name: frozenset(found) for name, found in uses.items()}

    def selected(self, otherwise: Sequence[str]) -> list[str]:
        """The columns to return, in order."""
        return list(otherwise) if self.select is None else self.select

    def ordered(self) -> list[tuple[str, bool]]:
        """(column, descending), the first one first."""
        return [
            (it, False) if isinstance(it, str) else (it[0], it[1] == "desc") for it in self.order
        ]


@dataclass(frozen=True, slots=True)
class Condition:
    """`column op values`; one value but for `in`. `kind` is the column's (see `kind_of`)."""

    column: str
    kind: str
    op: str
    values: tuple[Value, ...]


def read(body: bytes, limits: Limits) -> Question:
    """Read a body. Raises QueryRefused(unsupported) for SQL, Invalid(query) with all faults."""
    if len(body) > limits.query_bytes_max:
        raise Invalid(f"a question has at most {limits.query_bytes_max} bytes", code="query")
    try:
        value = codec.parse(body, limits=limits)
    except MalformedMessage:
        raise Invalid("the question is no JSON that can be read", code="query") from None
    if isinstance(value, dict) and ({"sql", "parameters", "epsilon"} & value.keys()):
        raise QueryRefused(NO_SQL, code="unsupported", rule="unsupported", would_pass=EXAMPLE)
    try:
        question = msgspec.convert(value, Question)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"the question cannot be read: {error}", code="query") from None
    problems = list(_problems(question, limits))
    if problems:
        raise Invalid("the question cannot be asked", code="query", problems=problems)
    return question


def _problems(question: Question, limits: Limits) -> Iterator[Problem]:
    select = question.select
    if select is not None and not 1 <= len(select) <= limits.terms_columns_max:
        yield _wrong("select", f"name 1 to {limits.terms_columns_max} columns")
    if select is not None and len(set(select)) != len(select):
        yield _wrong("select", "a column is named twice")
    if len(question.where) > limits.query_conditions_max:
        yield _wrong("where", f"at most {limits.query_conditions_max} conditions")
    for at, (_, op, value) in enumerate(question.where):
        message = _ill_formed(op, value, limits)
        if message:
            yield _wrong(f"where[{at}]", message)
    yield from _order_problems(question, limits)
    if question.limit is not None and not 0 <= question.limit <= limits.query_limit_max:
        yield _wrong("limit", f"a number from 0 to {limits.query_limit_max}")
    if question.purpose is not None and not 1 <= len(question.purpose) <= _PURPOSE_MAX:
        yield _wrong("purpose", "one purpose")


def _order_problems(question: Question, limits: Limits) -> Iterator[Problem]:
    if len(question.order) > limits.query_order_max:
        yield _wrong("order", f"at most {limits.query_order_max} columns")
    for at, it in enumerate(question.order):
        if not isinstance(it, str) and it[1] not in {"asc", "desc"}:
            yield _wrong(f"order[{at}]", 'write "column" or ["column", "desc"]')


def _wrong(path: str, message: str) -> Problem:
    return Problem(path, message, "query")


def _ill_formed(op: str, value: Any, limits: Limits) -> str:
    if op not in OPERATORS:
        return f"operators are {' '.join(OPERATORS)}"
    if (op == "in") != isinstance(value, list):
        return "in takes a list of values, the others take one value"
    if op == "in" and not 1 <= len(value) <= limits.query_in_list_max:
        return f"in takes 1 to {limits.query_in_list_max} values"
    return ""


def kind_of(engine_type: str) -> str:
    """What a column's values are to a question: integer, decimal … `other` cannot be filtered."""
    plain = engine_type.upper()
    if plain.startswith("DECIMAL"):
        return "decimal"
    return _KINDS.get(plain, "text" if plain.startswith("ENUM(") else "other")


_KINDS = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "number"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP WITH TIME ZONE": "instant",
    "UUID": "uuid",
}


def conditions(question: Question, kinds: Mapping[str, str]) -> list[Condition]:
    """Type every value by its column; Invalid(query-type) with all that do not fit."""
    found: list[Condition] = []
    problems: list[Problem] = []
    for at, (column, op, given) in enumerate(question.where):
        try:
            found.append(_condition(column, kinds[column], op, given))
        except ValueError as error:
            problems.append(Problem(f"where[{at}]", str(error), "query-type"))
    if problems:
        raise Invalid("a value does not fit its column", code="query-type", problems=problems)
    return found


def row_filter(predicates: Sequence[str], kinds: Mapping[str, str]) -> list[Condition]:
    """The permit's row filter, typed; Invalid(row-filter) where the table cannot be filtered so.

    Predicates are canonical (terms.md 1.1): `column op literal`, text in single quotes.
    """
    try:
        return [_predicate(predicate, kinds) for predicate in predicates]
    except (ValueError, KeyError):
        raise Invalid(
            "the agreement's row filter does not fit the table", code="row-filter"
        ) from None


def _predicate(predicate: str, kinds: Mapping[str, str]) -> Condition:
    match = _PREDICATE.match(predicate)
    if match is None:
        raise ValueError(predicate)
    column, op, rest = match[1], match[2], match[3]
    literals = [_literal(it) for it in _LITERAL.findall(rest)]
    if op == "in":
        return _condition(column, kinds[column], op, literals)
    (only,) = literals
    return _condition(column, kinds[column], op, only)


def _literal(text: str) -> str | Decimal | date:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    try:
        return Decimal(text)
    except InvalidOperation:
        return date.fromisoformat(text)


def _condition(column: str, kind: str, op: str, given: Any) -> Condition:
    values = given if op == "in" else [given]
    if None in values:
        if op not in {"=", "!="}:
            raise ValueError("null goes with = and != only")
        return Condition(column, kind, op, (None,))
    if kind == "boolean" and op not in {"=", "!=", "in"}:
        raise ValueError("true and false go with =, != and in only")
    return Condition(column, kind, op, tuple(_typed(kind, value) for value in values))


def _typed(kind: str, value: Any) -> Value:
    """A value in the form in which it is bound; ValueError says what the column takes."""
    numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if kind in {"boolean", "text"} and isinstance(value, bool if kind == "boolean" else str):
        plain: Value = value
        return plain
    if kind == "number" and numeric:
        return float(value)
    if kind == "integer" and numeric and abs(value) < _SAFE_INTEGER and value == int(value):
        whole = int(value)
        return whole if abs(whole) < _INT64 else str(whole)  # a frame holds no longer integer
    if kind == "decimal" and (numeric or isinstance(value, str)):
        return _decimal(value)
    if kind in _PARSED and isinstance(value, date):  # the literal of a row filter
        value = f"{value.isoformat()}{_PARSED[kind]}"
    if kind in _PARSED and isinstance(value, str):
        return _parsed(kind, value)
    raise _takes(kind)


def _takes(kind: str) -> ValueError:
    return ValueError(f"this column takes {_TAKES[kind]}")


# What a day becomes where such a column is compared with one.
_PARSED = {
    "date": "",
    "timestamp": "T00:00:00",
    "instant": "T00:00:00Z",
    "time": " is no time",
    "uuid": " is no UUID",
}
_TAKES = {
    "integer": "whole numbers",
    "decimal": 'numbers, or text such as "12.50"',
    "number": "numbers",
    "text": "text",
    "boolean": "true or false",
    "date": 'dates, such as "2026-11-22"',
    "timestamp": 'times without zone, such as "2026-11-22T10:00:00"',
    "instant": 'times with zone, such as "2026-11-22T10:00:00Z"',
    "time": 'times of day, such as "10:00:00"',
    "uuid": "UUIDs",
    "other": "no conditions",
}


def _decimal(value: Any) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _takes("decimal") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -18 or abs(number) >= _SAFE_DECIMAL:
        raise _takes("decimal")
    return format(number, "f")


def _parsed(kind: str, value: str) -> str:
    try:
        if kind == "date":
            return date.fromisoformat(value).isoformat()
        if kind == "time":
            return time.fromisoformat(value).replace(tzinfo=None).isoformat()
        if kind == "uuid":
            return str(UUID(value))
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _takes(kind) from None
    if (moment.tzinfo is None) != (kind == "timestamp"):
        raise _takes(kind)
    return moment.isoformat() if moment.tzinfo is None else moment.astimezone(UTC).isoformat()
