# SPDX-License-Identifier: Apache-2.0
"""Answers to questions: rows as Arrow, kept whole before anybody sees the first one.

An answer that broke off is none: it is not repeated (it may have been charged) and its rows are
not shown. pyarrow is loaded when rows are asked for; pandas and polars when named.
"""

from __future__ import annotations

import html
import importlib
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from corridor.client.exchange import Ask, Flow, More, blocks
from corridor.client.flows import Line, call, encode, path_of, slug
from corridor.client.receipts import Gauge, Promised, Receipt
from corridor.errors import CorridorError, NotFound, NotReachable
from corridor.evidence.receipt import Seen
from corridor.wire.home import ARROW, PROBLEM, QueryAsk, ReceiptView

MEMORY_BYTES_MAX = 64 << 20
SHOWN_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the stream's bytes, how they measured, and what promises their receipt."""

    content: IO[bytes]
    promised: Promised | None
    seen: Seen | None
    request: bytes
    bytes: int


def question(
    columns: Sequence[str] = (),
    *,
    where: Sequence[tuple[str, str, object]] = (),
    order: Sequence[str] = (),
    limit: int | None = None,
    purpose: str | None = None,
) -> QueryAsk:
    """A question for rows. In `order` a column that begins with `-` is descending."""
    return QueryAsk(
        select=list(columns) or None,
        where=[(name, op, _plain(value)) for name, op, value in where] or None,
        order=[(it[1:], "desc") if it.startswith("-") else it for it in order] or None,
        limit=limit,
        purpose=purpose,
    )


def sql(
    query: str,
    *,
    parameters: Mapping[str, object] | None = None,
    purpose: str | None = None,
    epsilon: str | None = None,
) -> QueryAsk:
    """A question in SQL."""
    told = {name: _plain(it) for name, it in parameters.items()} if parameters else None
    return QueryAsk(sql=query, parameters=told, purpose=purpose, epsilon=epsilon)


def ask_rows(line: Line, deal: str, it: QueryAsk) -> Flow[Answer]:
    """Ask once, and take the whole answer."""
    participant = yield from slug(line)
    body = encode(it)
    got = yield from blocks(
        Ask(
            method="POST",
            path=path_of("query", {"participant": participant, "id": deal}),
            headers={"content-type": "application/json", "accept": f"{ARROW}, {PROBLEM}"},
            body=body,
            wait_s=60.0,
        )
    )
    promised = Promised.read(got.headers.get("corridor-receipt", ""))
    gauge = Gauge(promised)
    content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX)  # noqa: SIM115 - it lives as long as the result
    try:
        while block := (yield More()):
            gauge.take(block)
            content.write(block)
    except NotReachable as broken:
        content.close()
        raise NotReachable(
            "the answer broke off, and is not asked again since it may have been charged",
            side="home",
            code="home-unreachable",
            cause=broken.cause,
            mend="corridor deal show shows what it cost",
            reference=promised.id if promised else "",
        ) from broken
    content.seek(0)
    return Answer(
        content=content, promised=promised, seen=gauge.seen(), request=body, bytes=gauge.bytes
    )


def receipt_of(
    line: Line,
    deal: str,
    promised: Promised | None,
    *,
    request: bytes | None = None,
    response: Seen | None = None,
) -> Flow[Receipt]:
    """The receipt of an answer, as soon as the provider's next checkpoint covers it."""
    if promised is None:
        raise NotFound("this answer came without a receipt")
    view: ReceiptView = yield from call(line, "receipt", id=deal, receipt=promised.id, wait_s=10.0)
    return Receipt(view=view, request=request, response=response)


def receipt_for(line: Line, deal: str, answer: Answer) -> Flow[Receipt]:
    """The receipt of rows, with what passed here."""
    it = yield from receipt_of(
        line, deal, answer.promised, request=answer.request, response=answer.seen
    )
    return it


def library(name: str) -> Any:
    """A library that is needed for some results only; the node and the CLI do not pay for it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = "corridor[clients]" if name.startswith("pyarrow") else name
        raise CorridorError(
            f"{name} is not installed", code="library-missing", mend=f"pip install '{extra}'"
        ) from error


class Rows:
    """Rows of one answer. Nothing here sends a request."""

    def __init__(self, answer: Answer, *, deal: str) -> None:
        self._answer = answer
        self._deal = deal
        self._table: Any = None
        weakref.finalize(self, answer.content.close)

    @property
    def columns(self) -> list[str]:
        """Names, in order."""
        return list(self.to_arrow().column_names)

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.to_arrow().num_rows)

    @property
    def bytes(self) -> int:
        """Size of the Arrow stream as it came."""
        return self._answer.bytes

    @property
    def receipt_id(self) -> str:
        """Id of the receipt that the provider promised; empty where none."""
        return self._answer.promised.id if self._answer.promised else ""

    def to_arrow(self) -> Any:
        """A pyarrow.Table of everything."""
        if self._table is None:
            with self._reader() as reader:
                self._table = reader.read_all()
        return self._table

    def to_pandas(self) -> Any:
        """A pandas.DataFrame."""
        library("pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """A polars.DataFrame."""
        return library("polars").from_arrow(self.to_arrow())

    def batches(self) -> Iterator[Any]:
        """pyarrow.RecordBatch after another, without holding all of them."""
        with self._reader() as reader:
            yield from reader

    def to_dicts(self, limit: int | None = None) -> list[Mapping[str, Any]]:
        """Rows as Python values."""
        table = self.to_arrow()
        found: list[Mapping[str, Any]] = (
            table if limit is None else table.slice(0, limit)
        ).to_pylist()
        return found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<Result {self._answer.bytes} bytes, receipt {self.receipt_id or 'none'}>"

    def _repr_html_(self) -> str:
        head = "".join(f'<th dir="auto">{html.escape(it)}</th>' for it in self.columns)
        body = "".join(
            "<tr>"
            + "".join(f'<td dir="auto">{html.escape(str(it))}</td>' for it in row.values())
            + "</tr>"
            for row in self.to_dicts(SHOWN_ROWS)
        )
        told = f"{self.rows:,} rows · receipt {html.escape(self.receipt_id or 'none')}"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{told}</p>"

    def _reader(self) -> Any:
        self._answer.content.seek(0)
        return library("pyarrow.ipc").open_stream(
            library("pyarrow").PythonFile(self._answer.content, mode="r")
        )


def _plain(value: object) -> Any:
    """Dates and decimals as text; collections as lists."""
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(it) for it in value]
    return str(value)
