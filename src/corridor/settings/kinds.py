# SPDX-License-Identifier: Apache-2.0
"""Kinds of settings: how a TOML value is read, and written back (experience.md 3.4).

A reader raises ValueError with what is needed, in words that stand behind the setting's name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from corridor.policy.profile import ROWS
from corridor.services import NAMES

# First segments of paths that are the node's own (node.md a).
RESERVED_IDS = frozenset({
    "api", "console", "static", "healthz", "readyz", "metrics", "dsp", "dcp", "data", "ledger",
    "help", "enter", "sign-in", "device", ".well-known",
})  # fmt: skip
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SECONDS_MAX = 1e10  # 300 years; keeps sums of times in range
_SIZE = re.compile(r"(\d{1,12})(B|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_INTEGER_MAX = 1 << 53
_SLUG = re.compile(r"[a-z][a-z0-9-]{1,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_DATABASE = re.compile(r"(sqlite):(?:///)?([A-Za-z0-9][A-Za-z0-9._-]{0,100})")


class Listen(msgspec.Struct, frozen=True):
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK_NAMES or (
            _is_address(self.host) and ipaddress.ip_address(self.host).is_loopback
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read and written.

    `read(value, base)` raises ValueError with what is needed; `base` is where paths begin. In the
    environment a `text` is taken as it stands, and commas part the items of `many`.
    """

    read: Callable[[Any, Path], Any]
    write: Callable[[Any], Any]
    text: bool = False
    many: bool = False


def _need(holds: bool, what: str) -> None:  # noqa: FBT001 - a guard, said in one word
    if not holds:
        raise ValueError(what)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _text(value: Any, _: Path) -> str:
    _need(isinstance(value, str), "needs a text in quotes")
    _need(len(value) <= 4096 and value.isprintable(), "needs a text of one line")
    return str(value)


def _flag(value: Any, _: Path) -> bool:
    _need(isinstance(value, bool), "needs true or false")
    return bool(value)


def _count(value: Any, _: Path) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    _need(whole and 1 <= value <= _INTEGER_MAX, "needs a whole number above 0")
    return int(value)


def read_duration(value: Any, _: Path = Path()) -> float:
    """Seconds of `"30m"` (ms, s, m, h, d) or of a number of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _need(0 <= value <= _SECONDS_MAX, "needs a duration such as 30s or 2h")
        return float(value)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("needs a duration such as 30s or 2h")
    seconds = int(found[1]) * _SECONDS[found[2]]
    _need(seconds <= _SECONDS_MAX, "needs a duration such as 30s or 2h")
    return seconds


def write_duration(seconds: float) -> str | float:
    """The shortest spelling; a number where none fits."""
    for unit in ("d", "h", "m", "s", "ms"):
        amount = round(seconds / _SECONDS[unit])
        if amount * _SECONDS[unit] == seconds and (amount or unit == "ms"):
            return f"{amount}{unit}" if amount else "0s"
    return seconds


def read_size(value: Any, _: Path = Path()) -> int:
    """Bytes of `"10MiB"` or of a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        _need(1 <= value <= _INTEGER_MAX, "needs a size such as 10MiB")
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) * _BYTES[found[2]] <= _INTEGER_MAX:
        raise ValueError("needs a size such as 10MiB")
    return int(found[1]) * _BYTES[found[2]]


def write_size(count: int) -> str | int:
    """The shortest spelling."""
    unit = next((it for it in ("TiB", "GiB", "MiB", "KiB") if count % _BYTES[it] == 0), None)
    return f"{count // _BYTES[unit]}{unit}" if unit else count


def _path(value: Any, base: Path) -> Path:
    text = _text(value, base)
    _need(bool(text), "needs a path")
    return base / text


def _path_or_none(value: Any, base: Path) -> Path | None:
    return base / text if (text := _text(value, base)) else None


def _texts(value: Any, base: Path) -> tuple[str, ...]:
    _need(isinstance(value, (list, tuple)) and len(value) <= 1000, "needs a list of texts")
    return tuple(_text(it, base) for it in value)


def _paths(value: Any, base: Path) -> tuple[Path, ...]:
    texts = _texts(value, base)
    _need(all(texts), "needs a list of folders, none of them empty")
    return tuple(base / it for it in texts)


def _listen(value: Any, base: Path) -> Listen:
    host, colon, port = _text(value, base).rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = bool(colon) and port.isascii() and port.isdigit() and 0 < int(port) <= 65535
    _need(good and (_is_address(host) or host == "localhost"), "needs ADDRESS:PORT, 127.0.0.1:7000")
    return Listen(host, int(port))


def _url(value: Any, base: Path) -> str:
    text = _text(value, base).rstrip("/")
    parts = urlsplit(text)
    good = parts.scheme in {"https", "http"} and parts.hostname and parts.username is None
    bad = parts.query or parts.fragment or "\\" in text or "@" in parts.netloc
    _need(bool(good) and not bad, "needs an address such as https://corridor.stat.example")
    _need(parts.port is None or parts.port > 0, "needs a port above 0")  # port: ValueError too
    return text


def _networks(value: Any, base: Path) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(it)) for it in _texts(value, base))
    except ValueError as error:
        raise ValueError("needs a list of networks such as 10.1.0.0/16") from error


def _hosts(value: Any, base: Path) -> tuple[str, ...]:
    texts = _texts(value, base)
    for it in texts:
        host, colon, port = it.rpartition(":")
        good = bool(colon and host) and port.isascii() and port.isdigit()
        _need(good and 0 < int(port) <= 65535 and "/" not in host, "needs HOST:PORT in each item")
    return tuple(it.lower() for it in texts)


def _names(value: Any, base: Path) -> tuple[str, ...]:
    """Host headers: HOST or HOST:PORT."""
    texts = _texts(value, base)
    _need(all(it and not set(it) & set("/ @?#") for it in texts), "needs HOST or HOST:PORT")
    return tuple(it.lower() for it in texts)


def _table(value: Any, base: Path) -> dict[str, str]:
    _need(isinstance(value, Mapping) and len(value) <= 100, "needs a table of texts")
    return {_text(key, base): _text(it, base) for key, it in value.items()}


def _title(value: Any, base: Path) -> dict[str, str]:
    table = _table(value, base)
    _need(all(_LANGUAGE.fullmatch(it) for it in table), 'needs a table such as { en = "…" }')
    return table


def _purposes(value: Any, base: Path) -> dict[str, str]:
    table = _table(value, base)
    good = all(_SLUG.fullmatch(key) and urlsplit(it).scheme for key, it in table.items())
    _need(good, 'needs a table such as { own-purpose = "https://…" }')
    return table


FLOORS = frozenset(it.key for it in ROWS if it.type == "int" and it.tighter == "larger")
"""Limits that a floor makes sense for: whole numbers that are tighter when larger."""


def _floors(value: Any, _: Path) -> dict[str, int]:
    _need(isinstance(value, Mapping), "needs a table such as { min_group_size = 5 }")
    for key, it in value.items():
        _need(key in FLOORS, f"knows floors of {', '.join(sorted(FLOORS))}, not of {key}")
        whole = isinstance(it, int) and not isinstance(it, bool)
        _need(whole and 0 <= it <= _INTEGER_MAX, f"needs a whole number for {key}")
    return dict(value)


def _slug(value: Any, base: Path) -> str:
    text = _text(value, base)
    _need(bool(_SLUG.fullmatch(text)), "needs 2 to 32 of a-z, 0-9 and -, a letter first")
    _need(text not in RESERVED_IDS, f"cannot be {text}: an address of the node itself")
    return text


def _country(value: Any, base: Path) -> str:
    text = _text(value, base)
    _need(bool(re.fullmatch(r"([A-Z]{2})?", text)), "needs two capital letters (ISO 3166), EG")
    return text


def _languages(value: Any, base: Path) -> tuple[str, ...]:
    texts = _texts(value, base)
    _need(bool(texts) and all(map(_LANGUAGE.fullmatch, texts)), 'needs a list such as ["en", "ar"]')
    return texts


def _database(value: Any, base: Path) -> str:
    text = _text(value, base)
    scheme = text.partition(":")[0]
    _need(
        scheme == "sqlite", f"cannot be {scheme or 'empty'}: this version keeps SQLite files only"
    )
    found = _DATABASE.fullmatch(text)
    if found is None:
        raise ValueError("needs sqlite:NAME, a file in the data folder")
    return f"sqlite:///{found[2]}"


def choice(*words: str, later: Iterable[str] = ()) -> Kind:
    """One of some words; `later` are those that only a later version does."""

    def read(value: Any, base: Path) -> str:
        word = _text(value, base)
        _need(word not in later, f"cannot be {word} in this version; it knows {', '.join(words)}")
        _need(word in words, f"needs one of {', '.join(words)}")
        return word

    return Kind(read, str, text=True)


def _services(value: Any, base: Path) -> tuple[str, ...]:
    texts = _texts(value, base)
    for it in texts:
        _need(it in NAMES, f"knows {', '.join(NAMES)}, not {it}")
    _need(len(set(texts)) == len(texts), "names a service twice")
    return texts


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _as_texts(values: Iterable[Any]) -> list[str]:
    return [str(it) for it in values]


TEXT = Kind(_text, str, text=True)
FLAG = Kind(_flag, bool)
COUNT = Kind(_count, int)
DURATION = Kind(read_duration, write_duration)
SIZE = Kind(read_size, write_size)
PATH = Kind(_path, str, text=True)
PATH_OR_NONE = Kind(_path_or_none, _as_text, text=True)
PATHS = Kind(_paths, _as_texts, many=True)
LISTEN = Kind(_listen, str, text=True)
HOSTS = Kind(_hosts, _as_texts, many=True)
TITLE = Kind(_title, dict)
PURPOSES = Kind(_purposes, dict)
FLOOR_TABLE = Kind(_floors, dict)
SLUG = Kind(_slug, str, text=True)
COUNTRY = Kind(_country, str, text=True)
LANGUAGES = Kind(_languages, _as_texts, many=True)
DATABASE = Kind(_database, str, text=True)
SERVICES = Kind(_services, _as_texts, many=True)
NETWORKS = Kind(_networks, _as_texts, many=True)
HOST_NAMES = Kind(_names, _as_texts, many=True)
URL = Kind(_url, str, text=True)
