# SPDX-License-Identifier: Apache-2.0
"""The messages of the catalogue: what is offered, and how a peer asks for it (DSP #catalog).

Our own pages are joined from datasets that were written once (`dataset_bytes`): an offer changes
seldom and is shown often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from corridor.errors import LocalProtocolError, RemoteProtocolError
from corridor.limits import Limits
from corridor.wire import head
from corridor.wire.codec import LIMITS, Message, raw_json, read, rooted
from corridor.wire.spelling import DETAIL, last_segment


class CatalogRequestMessage(Message, frozen=True, kw_only=True):
    """The consumer asks for the catalogue (#catalog-request-message)."""

    filter: list[Any] | None = None


class DatasetRequestMessage(Message, frozen=True, kw_only=True):
    """The consumer asks for one dataset; over HTTP this is a GET (#dataset-request-message)."""

    dataset: str


class CatalogError(Message, frozen=True, kw_only=True):
    """Why a catalogue request was refused (#error-catalog-error)."""

    code: str | None = None
    reason: tuple[str, ...] = ()

    may_be_empty = frozenset({"reason"})


class DataService(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag=True,
    tag_field="@type",
    omit_defaults=True,
):
    """A connector; `endpoint_url` is the base of its negotiations and transfers."""

    id_: str = msgspec.field(name="@id")
    endpoint_url: str = msgspec.field(name="endpointURL")
    endpoint_description: str | None = None


class Distribution(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag=True,
    tag_field="@type",
    omit_defaults=True,
):
    """A form in which a dataset can be had, and where; a string is the id of a `service`."""

    format: str
    access_service: str | DataService


class Text(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Words in one language (BCP 47); `und` where nobody said which."""

    language: str = msgspec.field(name="@language", default="und")
    value: str = msgspec.field(name="@value")


class Dataset(Message, frozen=True, kw_only=True):
    """A dataset, the offers for it and the forms it comes in (#dataset).

    `detail` is a JSON object as text, under a name of Corridor's own that others ignore.
    """

    id_: str = msgspec.field(name="@id")
    has_policy: tuple[dict[str, Any], ...]
    distribution: tuple[Distribution, ...]
    title: tuple[Text, ...] = msgspec.field(name="dct:title", default=())
    description: tuple[Text, ...] = msgspec.field(name="dct:description", default=())
    detail: str | None = msgspec.field(name=DETAIL, default=None)

    def __post_init__(self) -> None:
        """Hold what the schema says of an offer inside a dataset."""
        for offer in self.has_policy:
            head.catalog_offer(offer)

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The offers."""
        return self.has_policy


class Catalog(Message, frozen=True, kw_only=True):
    """What one provider offers, or one of its sub-catalogues (#catalog).

    The root names its participant; `participant_id` is None only in a nested catalogue.
    """

    id_: str = msgspec.field(name="@id")
    participant_id: str | None = None
    service: tuple[DataService, ...] = ()
    dataset: tuple[Dataset, ...] = ()
    catalog: tuple[Catalog, ...] = ()
    distribution: tuple[Distribution, ...] = ()
    has_policy: msgspec.UnsetType = msgspec.UNSET  # no value fits: the schema forbids the name

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The offers of its datasets and of the catalogues inside."""
        inside: tuple[Dataset | Catalog, ...] = (*self.dataset, *self.catalog)
        return tuple(offer for each in inside for offer in each.policies())


class RootCatalog(Catalog, frozen=True, kw_only=True, tag="Catalog"):
    """A catalogue as a whole answer: its participant is named."""

    participant_id: str


def decode_request(data: bytes, *, limits: Limits) -> CatalogRequestMessage:
    """Read a request for the catalogue. Raises MalformedMessage and nothing else."""
    return read(data, {"CatalogRequestMessage": CatalogRequestMessage}, limits=limits)


def decode_catalog(data: bytes, *, limits: Limits = LIMITS) -> Catalog:
    """Read a peer's catalogue, up to `catalog_answer_bytes_max`. Raises MalformedMessage only.

    A dataset without a form is read, since EDC shows it where no data plane is registered.
    """
    return read(
        data, {"Catalog": RootCatalog}, limits=limits, bytes_max=limits.catalog_answer_bytes_max
    )


def decode_dataset(data: bytes, *, limits: Limits = LIMITS) -> Dataset:
    """Read a peer's dataset. Raises MalformedMessage and nothing else."""
    return read(data, {"Dataset": Dataset}, limits=limits)


# --- our own ------------------------------------------------------------------------------------


def texts(words: Mapping[str, str]) -> tuple[Text, ...]:
    """Turn a map of language to words into what the wire says."""
    return tuple(Text(language=language, value=value) for language, value in words.items())


def words(texts: Sequence[Text]) -> dict[str, str]:
    """Turn what the wire says into a map of language to words; the first of a language counts."""
    return {text.language: text.value for text in reversed(texts)}


def dataset_bytes(
    *,
    dataset_id: str,
    offers: Sequence[Mapping[str, Any]],
    formats: Sequence[str],
    service: DataService | str,
    title: Mapping[str, str] | None = None,
    description: Mapping[str, str] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> bytes:
    """Write one dataset without `@context`, to be stored and joined into pages.

    With a DataService in it the same bytes serve as an item of a page and, through `rooted`, as
    the answer for the single dataset. Raises LocalProtocolError for what the schema forbids.
    """
    if not offers or not formats:
        raise LocalProtocolError("a dataset needs an offer and a format")
    try:
        it = Dataset(
            id_=dataset_id,
            has_policy=tuple({"@type": "Offer", **offer} for offer in offers),
            distribution=tuple(
                Distribution(format=format_, access_service=service) for format_ in formats
            ),
            title=texts(title or {}),
            description=texts(description or {}),
            detail=(
                None if detail is None else msgspec.json.encode(detail, order="sorted").decode()
            ),
        )
        bare = any(head.head(offer).bare for offer in it.has_policy)
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"this dataset cannot be offered: {error}") from error
    if bare:
        raise LocalProtocolError("an offer needs a permission or a prohibition")
    return raw_json(it)


def dataset_answer(dataset: bytes) -> bytes:
    """Make the answer for a single dataset of the bytes that `dataset_bytes` wrote."""
    return rooted(dataset)


def catalog_bytes(
    participant_id: str, catalog_id: str, service: DataService, datasets: Sequence[bytes]
) -> bytes:
    """Join a page of the catalogue from datasets that `dataset_bytes` wrote; none is legal."""
    page = raw_json(Catalog(id_=catalog_id, participant_id=participant_id, service=(service,)))
    if datasets:
        page = b"".join((page[:-1], b',"dataset":[', b",".join(datasets), b"]}"))
    return rooted(page)


# --- filters ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a peer wants of the catalogue: a slice, and datasets whose `id` is each of `ids`."""

    offset: int = 0
    limit: int | None = None
    ids: tuple[str, ...] = ()

    def takes(self, dataset_id: str) -> bool:
        """Say whether a dataset passes."""
        return all(each == dataset_id for each in self.ids)


_SLICE_MAX = (1 << 31) - 1  # EDC's are Java ints


def filter_of(message: CatalogRequestMessage) -> Filter:
    """Read EDC's QuerySpec (`dsp.md` 8.4): offset, limit, and `=` on the id of the dataset.

    Sorting is ignored. Raises RemoteProtocolError with the code `filter` for any other question:
    an answer that left a condition out would hold what was not asked for.
    """
    asked = message.filter or []
    if not asked:
        return Filter()
    if len(asked) > 1 or type(asked[0]) is not dict:
        raise _unsupported("more than one query")
    query = _plain_names(asked[0])
    unknown = query.keys() - {
        "@type", "@id", "offset", "limit", "sortOrder", "sortField", "filterExpression",
    }  # fmt: skip
    if unknown:
        raise _unsupported("a query with names that are not EDC's")
    if "@type" in query and last_segment(str(query["@type"])) != "QuerySpec":
        raise _unsupported("a query that is no QuerySpec")
    conditions = query.get("filterExpression", [])
    return Filter(
        offset=_natural(query.get("offset", 0)),
        limit=_natural(query["limit"]) if "limit" in query else None,
        ids=tuple(
            _wanted_id(each) for each in (conditions if type(conditions) is list else [conditions])
        ),
    )


def _wanted_id(criterion: Any) -> str:
    if type(criterion) is not dict:
        raise _unsupported("a condition that is no object")
    plain = _plain_names(criterion)
    left, right = plain.get("operandLeft"), plain.get("operandRight")
    if plain.get("operator") != "=" or type(left) is not str or last_segment(left) != "id":
        raise _unsupported("a condition other than = on id")
    if type(right) is not str:
        raise _unsupported("a condition on something other than a text")
    return right


def _plain_names(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, inner in value.items():
        name = key if key.startswith("@") else last_segment(key)
        if name in plain:
            raise _unsupported("one name in two spellings")
        if type(inner) is dict and inner.keys() <= {"@id", "@value", "@type"}:
            plain[name] = inner.get("@value", inner.get("@id"))
        else:
            plain[name] = inner
    return plain


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _SLICE_MAX:
        raise _unsupported("an offset or limit that is no number from 0")
    return value


def _unsupported(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the filter holds {what}", code="filter")
