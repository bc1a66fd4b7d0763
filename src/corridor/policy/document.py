# SPDX-License-Identifier: Apache-2.0
"""A YAML document whose every scalar is text, with the line of each node (terms.md 1.1).

YAML types nothing here: `NO` is two letters and `4.10` four signs. Anchors, aliases, tags, merge
keys and duplicate keys are refused, as is whatever is deeper or longer than the limits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from corridor.errors import Problem
from corridor.limits import Limits
from corridor.policy.values import quoted


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, NFC."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class List:
    """Nodes in order."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Map:
    """Keys in order, each once; `lines` are those of the keys."""

    entries: dict[str, Node]
    lines: dict[str, int]
    line: int


Node = Scalar | List | Map


class Unreadable(Exception):
    """The text is no document at all, or goes beyond a limit; holds the one problem."""

    def __init__(self, message: str, code: str, line: int = 1) -> None:
        super().__init__(message)
        self.problem = Problem(path=f"line {line}", message=message, code=code, line=line)


@dataclass(slots=True)
class _Composer:
    """Builds nodes from YAML's events, without recursion deeper than the limit."""

    events: Iterator[Event]
    limits: Limits
    problems: list[Problem] = field(default_factory=list)

    def whole(self) -> Node:
        documents = 0
        root: Node | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable(
                        "a second document begins. Leave one.", "terms-yaml", _line(event)
                    )
                root = self.node(next(self.events), 1)
            elif isinstance(event, StreamEndEvent):
                break
        if root is None:
            raise Unreadable("nothing is written here. Write the terms.", "terms-yaml")
        return root

    def node(self, event: Event, depth: int) -> Node:
        line = _line(event)
        if depth > self.limits.terms_depth_max:
            most = self.limits.terms_depth_max
            raise Unreadable(f"nested deeper than {most}. Make it flatter.", "terms-limit", line)
        if isinstance(event, AliasEvent):
            raise Unreadable(f"alias *{event.anchor}. Write it out.", "terms-yaml", line)
        if isinstance(event, NodeEvent) and event.anchor is not None:
            raise Unreadable(f"anchor &{event.anchor}. Take it out.", "terms-yaml", line)
        if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent) and event.tag:
            raise Unreadable(f"tag {event.tag}. Take it out.", "terms-yaml", line)
        match event:
            case ScalarEvent():
                return Scalar(self.text(event.value, line), line)
            case SequenceStartEvent():
                items = []
                for inner in self.events:
                    if isinstance(inner, SequenceEndEvent):
                        break
                    items.append(self.node(inner, depth + 1))
                return List(tuple(items), line)
            case _:
                return self.map(line, depth)

    def map(self, line: int, depth: int) -> Map:
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for inner in self.events:
            if isinstance(inner, MappingEndEvent):
                break
            key = self.node(inner, depth + 1)
            if not isinstance(key, Scalar):
                raise Unreadable("a key must be a word.", "terms-yaml", _line(inner))
            value = self.node(next(self.events), depth + 1)
            if key.text == "<<":
                raise Unreadable("merge key <<. Write it out.", "terms-yaml", key.line)
            if key.text in entries:
                first = lines[key.text]
                message = (
                    f"key {quoted(key.text)} a second time in this map (first on line {first}). "
                    "Merge the two."
                )
                self.problems.append(
                    Problem(
                        path=f"line {key.line}",
                        message=message,
                        code="terms-duplicate",
                        line=key.line,
                    )
                )
                continue
            entries[key.text], lines[key.text] = value, key.line
        return Map(entries, lines, line)

    def text(self, given: str, line: int) -> str:
        for sign in given:
            if sign not in "\n\t" and unicodedata.category(sign) in {"Cc", "Cs"}:
                raise Unreadable("holds a control character. Take it out.", "terms-yaml", line)
        return unicodedata.normalize("NFC", given)


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def parse(data: bytes, *, limits: Limits) -> tuple[Node, list[Problem]]:
    """The document and its duplicate keys; Unreadable where there is no document to speak of."""
    if len(data) > limits.terms_bytes_max:
        raise Unreadable(f"longer than {limits.terms_bytes_max} bytes. Shorten it.", "terms-limit")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable("is not UTF-8. Save it as UTF-8.", "terms-yaml", line) from error
    try:
        composer = _Composer(yaml.parse(text, Loader=yaml.SafeLoader), limits)
        return composer.whole(), composer.problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = error.problem or "cannot be read"
        raise Unreadable(f"no YAML: {what}. Mend it there.", "terms-yaml", line) from error
    except (yaml.YAMLError, ValueError, RecursionError, IndexError, StopIteration) as error:
        # PyYAML lets other errors out for odd escapes and signs.
        raise Unreadable("no YAML that can be read. Mend it.", "terms-yaml") from error
