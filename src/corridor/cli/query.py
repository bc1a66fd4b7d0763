# SPDX-License-Identifier: Apache-2.0
"""`corridor query`: ask for rows under an agreement."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from corridor.cli.away import home_of
from corridor.cli.request import find_asset
from corridor.cli.talk import Talk, talk_of
from corridor.cli.words import condition, names
from corridor.client.flows import ended, pending
from corridor.client.home import Deal, Home, Result
from corridor.client.result import library
from corridor.errors import Ended, Exit, Invalid, NotFound, Pending, QueryRefused
from corridor.wire.home import DealView

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SHOWN = 1000
FORMATS = ("table", "csv", "arrow", "parquet", "json")
SQL_CHARS_MAX = 64 << 10


@app.command()
def query(
    context: typer.Context,
    *,
    deal: str = typer.Argument(..., metavar="DEAL|ASSET", help="Id of an agreement, or asset."),
    sql: str = typer.Argument("", help="SQL, @FILE or - for stdin; a partner may refuse it."),
    select: list[str] = typer.Option([], help="Columns, with commas; all where left out."),
    where: list[str] = typer.Option([], help="A condition; all must hold."),
    order: list[str] = typer.Option([], help="Columns; -NAME is descending."),
    limit: int = typer.Option(None, min=0, help="At most so many rows."),
    purpose: str = typer.Option("", help="What for; else the agreement's purpose."),
    out: Path = typer.Option(None, help="Write the rows to this file."),
    format_: str = typer.Option("", "--format", help="table, csv, arrow, parquet or json."),
    explain: bool = typer.Option(False, "--explain", help="Only say whether it would be allowed."),
) -> None:
    """Ask for rows under an agreement.

    corridor query population --select country,persons --where 'year = 2025' --limit 5

    corridor query population --where "country in (China, 'Brazil')" --order -persons --out p.csv
    """
    talk = talk_of(context)
    chosen = _format(format_, out)
    asked: dict[str, Any] = {
        "where": [condition(it) for it in where],
        "order": names(order),
        "limit": limit,
        "purpose": purpose or None,
    }
    with home_of(context) as home:
        found = deal_for(home, deal, purpose, talk)
        if explain:
            _explain(talk, found.explain(names(select), **asked))
            return
        if sql:
            if select or where or order or limit is not None:
                raise Invalid("SQL, or --select and the like: not both", code="usage")
            rows = _sql(found, read_sql(sql), purpose or None)
        else:
            rows = found.read(names(select), **asked)
        _give(talk, rows, chosen, out)
    talk.say(f"{rows.rows:,} rows · agreement {found.id} · receipt {rows.receipt_id or 'none'}")


def _sql(deal: Deal, asked: str, purpose: str | None) -> Result:
    """Rows of SQL; a partner without it is asked by columns, in the words of this command."""
    try:
        return deal.sql(asked, purpose=purpose)
    except QueryRefused as error:
        if error.code == "unsupported":
            told = "--select COLUMN,… --where 'COLUMN = VALUE' --order COLUMN --limit 100"
            error.would_pass = f"corridor query {deal.asset} {told}"
        raise


def deal_for(home: Home, wanted: str, purpose: str, talk: Talk) -> Deal:
    """A live deal by its id, or by the asset; without one, the asset is asked for."""
    try:
        deal = home.deal(wanted)
    except NotFound:
        over = _over(home, wanted)
        if over is not None and not purpose:
            raise over from None
        if not purpose:
            raise NotFound(
                f"no agreement {wanted}",
                cause="none by this id, and none about an asset of this name",
                mend=f"corridor request {wanted}",
            ) from None
        talk.say(f"no agreement about {wanted} yet: asking for one")
        deal = find_asset(home, wanted).request(purpose)
    over = ended(deal.view)
    if over is not None:
        raise over
    if deal.pending:
        waiting: Pending = pending(deal.view)
        raise waiting
    return deal


def _over(home: Home, asset: str) -> Ended | None:
    """Why the latest agreement about an asset is none any more; None where there never was one."""
    query = {"asset": asset, "role": "consumer"}
    known: list[DealView] = list(home.pages("deals", query=query))
    latest = max(known, key=lambda it: it.signed_at or "", default=None)
    return None if latest is None else ended(latest)


def read_sql(told: str) -> str:
    """The text, or what a file or stdin holds."""
    if told == "-":
        return sys.stdin.read(SQL_CHARS_MAX)
    if told.startswith("@"):
        try:
            with Path(told[1:]).open(encoding="utf-8") as file:
                return file.read(SQL_CHARS_MAX)
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"{told[1:]} cannot be read", code="usage", cause=str(error)) from error
    return told


def _format(named: str, out: Path | None) -> str:
    if not named and out is not None:
        named = {".csv": "csv", ".arrow": "arrow", ".parquet": "parquet", ".json": "json"}.get(
            out.suffix.lower(), ""
        )
    if not named:
        named = "csv" if out is not None else "table"
    if named not in FORMATS:
        raise Invalid(f"no format {named}", code="usage", cause=f"there are: {', '.join(FORMATS)}")
    return named


def _give(talk: Talk, rows: Result, chosen: str, out: Path | None) -> None:
    if out is not None:
        WRITERS[chosen](rows, out)
        talk.write(str(out))
        return
    if talk.options.json or chosen == "json":
        talk.json(rows_document(rows))
    elif chosen == "csv":
        talk.out.write(as_csv(rows))
        talk.out.flush()
    elif chosen == "table":
        shown = rows.to_dicts(SHOWN) if talk.terminal else rows.to_dicts()
        talk.table({}, rows.columns, [list(row.values()) for row in shown], grouped=False)
        if len(shown) < rows.rows:
            talk.warn(f"the first {len(shown):,} of {rows.rows:,} rows; --out FILE has all", "note")
    else:
        raise Invalid(f"{chosen} is for a file", code="usage", mend=f"--out rows.{chosen}")


def rows_document(rows: Result) -> Mapping[str, Any]:
    """Rows as --json tells them; what JSON does not have is text."""
    items = [{name: _json(it) for name, it in row.items()} for row in rows.to_dicts()]
    return {"columns": rows.columns, "rows": items, "receipt": rows.receipt_id}


def _json(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def as_csv(rows: Result) -> str:
    """RFC 4180 with a header. A text that a spreadsheet would run is not changed."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow(rows.columns)
    for row in rows.to_dicts():
        writer.writerow(["" if it is None else it for it in row.values()])
    return told.getvalue()


def _write_csv(rows: Result, out: Path) -> None:
    out.write_text(as_csv(rows), encoding="utf-8")


def _write_json(rows: Result, out: Path) -> None:
    talk_json = library("msgspec").json
    out.write_bytes(talk_json.encode(rows_document(rows)))


def _write_arrow(rows: Result, out: Path) -> None:
    table = rows.to_arrow()
    with library("pyarrow.ipc").new_file(str(out), table.schema) as file:
        file.write_table(table)


def _write_parquet(rows: Result, out: Path) -> None:
    library("pyarrow.parquet").write_table(rows.to_arrow(), str(out))


def _write_table(rows: Result, out: Path) -> None:
    _write_csv(rows, out)


WRITERS: Mapping[str, Callable[[Result, Path], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
    "arrow": _write_arrow,
    "parquet": _write_parquet,
}


def _explain(talk: Talk, told: Mapping[str, Any]) -> None:
    order: Sequence[str] = ("outcome", "rule", "because", "bound", "would_pass", "resets_at")
    talk.fields(told, [(name, told.get(name, "")) for name in order])
    if told.get("outcome") != "allowed":
        raise typer.Exit(int(Exit.REFUSED))
