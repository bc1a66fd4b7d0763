# SPDX-License-Identifier: Apache-2.0
"""Typed values of terms: text in, canonical text out, or ValueError with the mend (terms.md 1.1).

Numbers are decimal text, never binary floats. Every function here is total on text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from corridor.policy import countries

TEXT_CHARACTERS_MAX = 5000
COLUMN_CHARACTERS_MAX = 63
DAYS_MAX = 36_525

_INT = re.compile(r"[0-9]{1,18}\Z")
_DEC = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?\Z")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,18}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})\Z"
)
_FINER = re.compile(r"(\.[0-9]{6})[0-9]{1,12}(?=Z|[+-])")
_DURATION = re.compile(
    r"P(?:([0-9]{1,9})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?\Z"
)
_CALENDAR = re.compile(r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?\Z")
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT]i?B)?\Z")
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]{1,2000}\Z")
_DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]{1,500}\Z")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_PATH = re.compile(r"/[^\s?#%\\*]{0,999}\*?\Z")
_MEASURE = re.compile(r"([^\[\]]+)(?:\[([^,\]]+),([^,\]]+)\])?\Z")
_PREDICATE = re.compile(r"(.+?)\s*(!=|<=|>=|=|<|>|\sin(?=[\s(]))\s*(.+)\Z", re.DOTALL)
_LITERAL = re.compile(r"\s*('(?:[^']|'')*'|[^\s,()']+)\s*")

TLP = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OPERATIONS = ("get", "put", "delete", "list")
MODELS = ("glm", "cox", "km", "pca", "fedavg", "xgboost")
FUNCTIONS = (
    "count", "count_distinct", "sum", "avg", "variance",
    "stddev", "median", "quantile", "corr", "covar",
)  # fmt: skip
UNITS = {
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip


class NoFixedLength(ValueError):
    """A duration of months or years; its words stand in the message."""


def text(given: str, *, lines: bool = False) -> str:
    """NFC text without control characters, 1 to 5,000 characters."""
    plain = unicodedata.normalize("NFC", given)
    if not plain.strip():
        raise ValueError("is empty. Write some text.")
    if len(plain) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"is longer than {TEXT_CHARACTERS_MAX} characters. Shorten it.")
    for sign in plain:
        if unicodedata.category(sign) in {"Cc", "Cs"} and not (lines and sign in "\n\t"):
            raise ValueError("holds a control character. Take it out.")
    return plain


def integer(given: str) -> str:
    """Digits, without leading zeros."""
    if not _INT.match(given):
        raise ValueError(f"{quoted(given)} is no whole number. Write digits only.")
    return str(int(given))


def signed(given: str) -> str:
    """A decimal without exponent, leading zeros or trailing zeros; `-0` is `0`."""
    match = _DEC.match(given)
    if not match:
        raise ValueError(f"{quoted(given)} is no number. Write digits, and a point if need be.")
    sign, whole, fraction = match.groups()
    plain = str(int(whole))
    if fraction and fraction.strip("0"):
        plain += "." + fraction.rstrip("0")
    return plain if plain == "0" else sign + plain


def decimal(given: str) -> str:
    """A decimal that is not negative."""
    plain = signed(given)
    if plain.startswith("-"):
        raise ValueError(f"{quoted(given)} is below 0. Write a number from 0 on.")
    return plain


def day(given: str) -> date:
    """A date, `2027-12-31`."""
    match = _DATE.match(given)
    if match:
        try:
            return date(*(int(part) for part in match.groups()))
        except ValueError:
            pass
    raise ValueError(f"{quoted(given)} is no date. Write it like 2027-12-31.")


def stamped(given: str) -> datetime:
    """When an agreement was made, as its provider stamped it: cut to the microsecond.

    Clocks of other connectors tell nanoseconds. A bound in a rule is another thing: cutting it
    would change what it says, so `moment` refuses.
    """
    return moment(_FINER.sub(r"\1", given))


def moment(given: str) -> datetime:
    """An instant with a zone, as an aware datetime in UTC."""
    match = _INSTANT.match(given)
    wrong = ValueError(
        f"{quoted(given)} is no instant. Write it like 2027-12-31T12:00:00Z, with a zone."
    )
    if not match:
        raise wrong
    whole, clock, fraction, zone = match.groups()
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > 6:
        raise wrong
    try:
        local = datetime.fromisoformat(f"{whole}T{clock}{'+00:00' if zone == 'Z' else zone}")
        there = local.replace(microsecond=int(fraction.ljust(6, "0"))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    if there.year < 1970:
        raise wrong
    return there


def instant(given: str) -> str:
    """An instant in UTC with `Z`; a fraction only if it is not zero."""
    return instant_text(moment(given))


def instant_text(when: datetime) -> str:
    """The canonical text of an aware datetime."""
    when = when.astimezone(UTC)
    plain = when.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if when.microsecond:
        plain += f".{when.microsecond:06d}".rstrip("0")
    return plain + "Z"


def span(given: str) -> timedelta:
    """A duration of days, hours, minutes and seconds."""
    match = _DURATION.match(given)
    if not match or given.endswith(("P", "T")):
        calendar = _CALENDAR.match(given)
        if calendar and any(calendar.groups()):
            years, months, weeks = (int(part or 0) for part in calendar.groups())
            days = years * 365 + months * 30 + weeks * 7
            raise NoFixedLength(f"{quoted(given)} has no fixed length. Write days: P{days}D.")
        raise ValueError(f"{quoted(given)} is no duration. Write it like P90D or PT72H.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    if total > DAYS_MAX * 86400:
        raise ValueError(f"{quoted(given)} is longer than {DAYS_MAX} days. Shorten it.")
    return timedelta(seconds=total)


def duration(given: str) -> str:
    """A duration in the largest units."""
    length = span(given)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    days = f"{length.days}D" if length.days or not clock else ""
    return f"P{days}" + (f"T{clock}" if clock else "")


def size(given: str) -> str:
    """Bytes of a size such as `64 KiB`; only the file has units, the wire has bytes."""
    match = _SIZE.match(given)
    if not match:
        raise ValueError(f"{quoted(given)} is no size. Write bytes, or a number and KB to TiB.")
    return str(int(match[1]) * UNITS.get(match[2] or "", 1))


def country(given: str) -> str:
    """ISO 3166-1 alpha-2, upper case."""
    if given.isascii() and given.upper() in countries.NAMES:
        return given.upper()
    code = countries.code_of(given)
    mend = f"Write {code}." if code else "Write two letters, such as RS; write groups out."
    raise ValueError(f"{quoted(given)} is no ISO 3166-1 code. {mend}")


def iri(given: str) -> str:
    """An absolute IRI."""
    if not _IRI.match(given):
        raise ValueError(f"{quoted(given)} is no absolute IRI.")
    return text(given)


def did(given: str) -> str:
    """A DID."""
    if not _DID.match(given):
        raise ValueError(f"{quoted(given)} is no DID. Write it like did:web:partner.example.")
    return given


def column(given: str) -> str:
    """A letter or `_`, then letters, digits, `_`; any script, NFC, at most 63 characters."""
    plain = unicodedata.normalize("NFC", given)
    first = plain[:1] == "_" or unicodedata.category(plain[:1] or " ").startswith("L")
    # Marks belong to letters in many scripts: without them Hindi has no words.
    rest = all(c == "_" or unicodedata.category(c)[0] in "LM" or c.isdecimal() for c in plain)
    if not first or not rest or len(plain) > COLUMN_CHARACTERS_MAX:
        raise ValueError(
            f"{quoted(given)} cannot be a column here. Give it an alias of letters, digits and _."
        )
    return plain


def measure(given: str) -> str:
    """`column`, or `column[low,high]` with low below high."""
    match = _MEASURE.match(given)
    if not match:
        raise ValueError(f"{quoted(given)} is no measure. Write {{measure: [low, high]}}.")
    name = column(match[1])
    if match[2] is None:
        return name
    low, high = signed(match[2].strip()), signed(match[3].strip())
    if Decimal(low) >= Decimal(high):
        raise ValueError(f"bounds [{low}, {high}] hold nothing. Write [low, high], low first.")
    return f"{name}[{low},{high}]"


def measure_parts(canonical: str) -> tuple[str, tuple[Decimal, Decimal] | None]:
    """The column and the interval of a canonical measure."""
    name, bracket, bounds = canonical.partition("[")
    if not bracket:
        return name, None
    low, _, high = bounds.rstrip("]").partition(",")
    return name, (Decimal(low), Decimal(high))


def predicate(given: str) -> str:
    """`column op literal`: one space round the operator, a list sorted."""
    match = _PREDICATE.match(given.strip())
    wrong = ValueError(
        f"{quoted(given)} is no condition. Write a column, one of = != < <= > >= in, and a literal."
    )
    if not match:
        raise wrong
    name, operator, rest = column(match[1].strip()), match[2].strip(), match[3].strip()
    if operator != "in":
        return f"{name} {operator} {_literal(rest, wrong)}"
    if not (rest.startswith("(") and rest.endswith(")")):
        raise wrong
    literals, inner, at = set(), rest[1:-1], 0
    while True:
        part = _LITERAL.match(inner, at)
        if not part:
            raise wrong
        literals.add(_literal(part[1], wrong))
        at = part.end()
        if at == len(inner):
            return f"{name} in ({', '.join(sorted(literals, key=str.encode))})"
        if inner[at] != ",":
            raise wrong
        at += 1


def _literal(given: str, wrong: ValueError) -> str:
    whole = _LITERAL.match(given)
    if not whole or whole.end() != len(given):
        raise wrong
    if given.startswith("'"):
        return "'" + text(given[1:-1]) + "'" if given != "''" else given
    try:
        return day(given).isoformat() if _DATE.match(given) else signed(given)
    except ValueError:
        raise wrong from None


def credential(given: str) -> str:
    """`Type`, or `Type@issuer-did`."""
    kind, at, issuer = given.partition("@")
    if not _NAME.match(kind) or (at and not _DID.match(issuer)):
        raise ValueError(f"{quoted(given)} is no credential. Write Type or Type@did:web:issuer.")
    return given


def claim(given: str) -> str:
    """`Type.name=value`."""
    name, equals, value = given.partition("=")
    kind, dot, member = name.partition(".")
    if not (equals and dot and _NAME.match(kind) and _NAME.match(member)):
        raise ValueError(f"{quoted(given)} is no claim. Write Type.name: value.")
    return f"{name}={text(value)}"


def path(given: str) -> str:
    """A path without dot segments; `*` only at its end."""
    segments = given.rstrip("*").split("/")
    if not _PATH.match(given) or "." in segments or ".." in segments or "//" in given:
        raise ValueError(f"{quoted(given)} is no path. Begin with /, no dots, * only at the end.")
    return text(given)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def check(given: str) -> str:
        if not pattern.match(given):
            raise ValueError(f"{quoted(given)} is no {what}.")
        return given

    return check


def _one_of(*words: str) -> Callable[[str], str]:
    def check(given: str) -> str:
        if given not in words:
            raise ValueError(f"{quoted(given)} is not known. Write one of: {', '.join(words)}.")
        return given

    return check


def quoted(given: str) -> str:
    """Somebody's text for a message, shortened, harmless to print."""
    short = given if len(given) <= 60 else given[:59] + "…"
    return '"' + "".join(c if c.isprintable() else "�" for c in short) + '"'


CANONICAL: dict[str, Callable[[str], str]] = {
    "text": text,
    "int": integer,
    "dec": decimal,
    "instant": instant,
    "duration": duration,
    "country": country,
    "iri": iri,
    "did": did,
    "column": column,
    "measure": measure,
    "predicate": predicate,
    "credential": credential,
    "claim": claim,
    "role": _matching(_SLUG, "role; write small letters, digits and -"),
    "asset": text,
    "digest": _matching(_DIGEST, "image digest; write sha256: and 64 hex digits"),
    "path": path,
    "function": _one_of(*FUNCTIONS),
    "model": _one_of(*MODELS),
    "method": _one_of(*METHODS),
    "operation": _one_of(*OPERATIONS),
    "tlp": _one_of(*TLP),
    "kind": _matching(_SLUG, "STIX type; write small letters, digits and -"),
    "network": _one_of("none", "provider"),
    "outputs": _one_of("free", "review"),
}


def within(given: str, low: str, high: str) -> str:
    """A canonical number as it is, or ValueError where it lies outside its bounds."""
    number = Decimal(given)
    under = low and (number < Decimal(low.lstrip(">")) or (low[0] == ">" and number == 0))
    over = high and (number > Decimal(high.lstrip("<")) or (high[0] == "<" and f"<{given}" == high))
    if under or over:
        bounds = " and ".join(
            part
            for part in (
                low and (f"above {low[1:]}" if low[0] == ">" else f"at least {low}"),
                high and (f"below {high[1:]}" if high[0] == "<" else f"at most {high}"),
            )
            if part
        )
        raise ValueError(f"{given} is out of range. Write a number {bounds}.")
    return given


def canonical(kind: str, given: str) -> str:
    """The canonical text of `given` as a value of type `kind`; ValueError says what is wrong."""
    return CANONICAL[kind](unicodedata.normalize("NFC", given))
