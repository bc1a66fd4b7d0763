# SPDX-License-Identifier: Apache-2.0
"""JSON of a peer, read strictly, brought to plain shapes, and our messages written.

Reading has three steps, each of which may only raise MalformedMessage:

1. `parse`: bytes to values. Bounded before anything can recurse, and refusing equal keys.
2. `normalise`: what a JSON-LD peer may write in several ways, to the one way of the schemas
   (`dsp.md` 2.1): prefixes and whole IRIs, one value for a list of one, `{"@id": …}` for a string.
   Policies and filters stay verbatim: `wire/head.py` and the policy floor read them.
3. `msgspec.convert` to the frozen struct of the message's `@type`; its `__post_init__` holds what
   the schema says beyond types.

Writing is `encode`. Nobody hashes or signs what was normalised, only the bytes as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from corridor.errors import LocalProtocolError, MalformedMessage
from corridor.limits import Limits
from corridor.wire.spelling import DETAIL, PLAIN

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
LIMITS = Limits()

_OPENING = f'{{"@context":["{CONTEXT}"],'.encode()
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CLOSERS = frozenset(b"]}")
_SHOWN_MAX = 120


class Message(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag=True,
    tag_field="@type",
    omit_defaults=True,
):
    """What every message has. `id_` is the id of the message itself, not of a process."""

    id_: str | None = msgspec.field(name="@id", default=None)

    may_be_empty: ClassVar[frozenset[str]] = frozenset()

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The offers or the agreement inside, as they came."""
        return ()


M = TypeVar("M", bound=msgspec.Struct)


# --- 1. bytes to values -------------------------------------------------------------------------


def parse(data: bytes, *, limits: Limits, bytes_max: int | None = None) -> Any:
    """Read strict JSON: UTF-8, no equal keys, no NaN, within the limits.

    `bytes_max` raises the size allowed (a catalogue is longer than a message), and the number of
    items in proportion. Raises MalformedMessage and nothing else.

    msgspec reads (it refuses bad UTF-8, lone surrogates, NaN, numbers out of range, trailing
    text) but takes the last of two equal keys. So the names in the text, which are its colons
    outside strings, are counted against the names that arrived.
    """
    size_max = limits.message_bytes_max if bytes_max is None else bytes_max
    if len(data) > size_max:
        raise MalformedMessage(f"{len(data)} bytes are more than {size_max}")
    items_max = limits.json_items_max * max(1, size_max // limits.message_bytes_max)
    names = _scan(data, limits=limits, items_max=items_max)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise MalformedMessage(_shown(error)) from error
    if _count_names(value) != names:
        raise MalformedMessage("two equal keys in one object")
    return value


def _scan(data: bytes, *, limits: Limits, items_max: int) -> int:
    """Bound strings, items and depth; return the number of colons outside strings.

    Text that is no JSON gives numbers without meaning, but msgspec refuses it afterwards. The
    two replacements keep lengths: a run of backslashes is eaten in pairs from its left, so what
    is left before a quote says whether it is escaped.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    if data.count(b'"') > 4 * (items_max + 1):  # a name and a value an item: do not even split
        raise MalformedMessage(f"more than {items_max} items")
    parts = data.split(b'"')
    if len(data) > limits.json_string_bytes_max:
        longest = max(map(len, parts[1::2]), default=0)
        if longest > limits.json_string_bytes_max:
            raise MalformedMessage(f"a string is longer than {limits.json_string_bytes_max} bytes")
    outside = b"".join(parts[::2])
    brackets = outside.translate(None, _NOT_BRACKETS)
    if outside.count(b",") + len(brackets) // 2 > items_max:
        raise MalformedMessage(f"more than {items_max} items")
    depth = 0
    for byte in brackets:
        if byte in _CLOSERS:
            depth -= 1
        else:
            depth += 1
            if depth > limits.json_depth_max:
                raise MalformedMessage(f"nested deeper than {limits.json_depth_max}")
    return outside.count(b":")


def _count_names(value: Any) -> int:
    """Count the names of all objects in a parsed value, without recursion."""
    count = 0
    queue = [value]
    for each in queue:  # grows while it is walked
        if type(each) is dict:
            count += len(each)
            queue += each.values()
        elif type(each) is list:
            queue += each
    return count


def _shown(error: Exception) -> str:
    """One line for the peer: what is wrong, never more than a little of what it sent."""
    return str(error).replace("\n", " ")[:_SHOWN_MAX] or type(error).__name__


# --- 2. one plain shape -------------------------------------------------------------------------


def normalise(value: Any) -> Any:
    """Bring one object of a message to the plain shapes; anything but an object stays itself.

    Unknown names are kept and not looked into. Raises MalformedMessage for a null, for a shape
    that cannot be meant, and where one name stands in two spellings.
    """
    if type(value) is not dict:
        return value
    plain: dict[str, Any] = {}
    for key, inner in value.items():
        term = PLAIN.get(key, key)
        if term in plain:
            raise MalformedMessage(f"{term[:_SHOWN_MAX]} stands twice, in two spellings")
        shape = _SHAPES.get(term)
        if shape is None:
            plain[term] = inner
        elif inner is None:
            raise MalformedMessage(f"{term} is null")
        else:
            plain[term] = shape(inner)
    return plain


def _text(value: Any) -> Any:
    """Take `{"@id": "x"}` and `{"@value": "x"}` for "x"."""
    if type(value) is dict:
        if value.keys() == {"@id"}:
            return value["@id"]
        if "@value" in value and value.keys() <= {"@value", "@type", "@language"}:
            return value["@value"]
    return value


def _word(value: Any) -> Any:
    """Take a word of the specification in any of its spellings."""
    text = _text(value)
    return PLAIN.get(text, text) if type(text) is str else text


def _code(value: Any) -> Any:
    """Take a number for its text: the schema wants a string, connectors send 409."""
    text = _text(value)
    return str(text) if type(text) in (int, float) else text


def _reasons(value: Any) -> list[str]:
    """Take anything for a reason (the schema sets no type); what is no text becomes its JSON."""
    items = value if type(value) is list else [value]
    return [
        text if type(text) is str else msgspec.json.encode(text, order="sorted").decode()
        for text in map(_text, items)
    ]


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _typed(type_name: str) -> Callable[[Any], Any]:
    """Make a shape for a nested object that must carry this `@type`."""

    def shape(value: Any) -> Any:
        plain = normalise(value)
        if type(plain) is not dict or plain.get("@type") != type_name:
            raise MalformedMessage(f"an object with @type {type_name} is needed")
        return plain

    return shape


def _each(shape: Callable[[Any], Any], *, least: int = 0) -> Callable[[Any], Any]:
    """Make a shape for a list; one bare item counts as a list of one."""

    def shapes(value: Any) -> Any:
        items = _as_list(value)
        if len(items) < least:
            raise MalformedMessage("a list is empty that may be left out but not be empty")
        return [shape(item) for item in items]

    return shapes


_data_service = _typed("DataService")


def _access_service(value: Any) -> Any:
    text = _text(value)
    return text if type(text) is str else _data_service(text)


def _dataset(value: Any) -> Any:
    """Take the list of a Catalog, or the one id of a DatasetRequestMessage."""
    return value if type(value) is str else [normalise(item) for item in _as_list(value)]


def _language_text(value: Any) -> Any:
    if type(value) is str:
        return {"@value": value}
    return value


def _verbatim(value: Any) -> Any:
    return value


_IDS = ("@id", "providerPid", "consumerPid", "agreementId", "format")
_SHAPES: dict[str, Callable[[Any], Any]] = {
    "@id": _verbatim,
    "@type": _word,
    "providerPid": _text,
    "consumerPid": _text,
    "callbackAddress": _text,
    "agreementId": _text,
    "participantId": _text,
    "format": _text,
    "endpoint": _text,
    "endpointType": _text,
    "endpointURL": _text,
    "endpointDescription": _text,
    "name": _text,
    "value": _text,
    "state": _word,
    "eventType": _word,
    "code": _code,
    "reason": _reasons,
    "offer": _verbatim,
    "agreement": _verbatim,
    "filter": lambda value: [value] if type(value) is dict else value,
    "hasPolicy": _each(_verbatim, least=1),
    "dataAddress": _typed("DataAddress"),
    "endpointProperties": _each(_typed("EndpointProperty"), least=1),
    "service": _each(_data_service),
    "catalog": _each(_typed("Catalog")),
    "dataset": _dataset,
    "distribution": _each(normalise),
    "accessService": _access_service,
    "dct:title": _each(_language_text),
    "dct:description": _each(_language_text),
    DETAIL: _text,
}


# --- 3. structs ---------------------------------------------------------------------------------


def read(
    data: bytes,
    kinds: Mapping[str, type[M]],
    *,
    limits: Limits,
    bytes_max: int | None = None,
    context: bool = True,
) -> M:
    """Read a message of one of these kinds. Raises MalformedMessage and nothing else.

    `context` False also takes a body without `@context`: answers of lenient peers.
    """
    value = parse(data, limits=limits, bytes_max=bytes_max)
    if type(value) is not dict:
        raise MalformedMessage("a message is a JSON object")
    if context:
        _check_context(value.get("@context"))
    plain = normalise(value)
    name = plain.get("@type")
    kind = kinds.get(name) if type(name) is str else None
    if kind is None:
        raise MalformedMessage(f"@type is none of {', '.join(sorted(kinds))}")
    if plain.get("reason") == [] and "reason" not in getattr(kind, "may_be_empty", ()):
        raise MalformedMessage("reason is empty; leave it out")
    message = convert(plain, kind)
    policies = message.policies() if isinstance(message, Message) else ()
    for named in ({name: plain.get(name) for name in _IDS}, *policies):
        _check_ids(named, limits.name_chars_max)
    return message


def _check_ids(named: Mapping[str, Any], most: int) -> None:
    """Bound what becomes part of paths and ledger entries, which are bounded themselves."""
    for name, value in named.items():
        text = _text(value)
        if type(text) is str and len(text) > most:
            raise MalformedMessage(f"{name[:_SHOWN_MAX]} is longer than {most} characters")


def convert(plain: Any, kind: type[M]) -> M:
    """Convert plain shapes to a struct. Raises MalformedMessage."""
    try:
        return msgspec.convert(plain, kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise MalformedMessage(_shown(error)) from error


def _check_context(context: Any) -> None:
    """DSP #serialization: the context is there. A bare string is a list of one, compacted."""
    if context != CONTEXT and not (type(context) is list and CONTEXT in context):
        raise MalformedMessage(f"@context does not hold {CONTEXT}")


# --- writing ------------------------------------------------------------------------------------

_ENCODER = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """Write a message: `@context`, `@type`, then its fields without null and empty lists.

    Raises LocalProtocolError for what the schema forbids us to write although a peer may send it:
    a policy without any rule.
    """
    for policy in message.policies():
        if not any(policy.get(kind) for kind in ("permission", "prohibition")):
            raise LocalProtocolError("a policy needs a permission or a prohibition to be sent")
    return rooted(raw_json(message))


def raw_json(value: Any) -> bytes:
    """Write a value without `@context`. Raises LocalProtocolError where it is no JSON."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise LocalProtocolError(f"this cannot be written: {_shown(error)}") from error


def rooted(body: bytes) -> bytes:
    """Put the `@context` in front of an object that was written without it."""
    if not body.startswith(b'{"'):
        raise LocalProtocolError("only a JSON object with a name in it takes a context")
    return _OPENING + body[1:]
