# SPDX-License-Identifier: Apache-2.0
"""`corridor explain`: why a decision fell, or would fall."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import moment, talk_of
from corridor.cli.words import names
from corridor.errors import Invalid
from corridor.wire.home import ExplainAsk, Explained

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def explain(
    context: typer.Context,
    *,
    reference: str = typer.Argument("", help="The reference of a refusal."),
    deal: str = typer.Option("", help="An agreement: what would it decide?"),
    do: str = typer.Option("read", help="The action: read, use …"),
    purpose: str = typer.Option("", help="What for; else the agreement's."),
    select: list[str] = typer.Option([], help="Columns to return."),
    where: list[str] = typer.Option([], help="Columns to filter by."),
    rows: int = typer.Option(None, min=0, help="How many rows."),
) -> None:
    """Why a decision fell, or would fall: the rule, the fact, and what bounds it.

    corridor explain 4c1e-90b7

    corridor explain --deal population --do read --select sex --purpose official-statistics
    """
    talk = talk_of(context)
    if bool(reference) == bool(deal):
        raise Invalid("a reference, or --deal: one of them", code="usage")
    uses: dict[str, list[str]] = {}
    for use, columns in (("return", names(select)), ("filter", names(where))):
        for name in columns:
            uses.setdefault(name, []).append(use)
    with home_of(context) as home:
        if reference:
            told: Explained = home.explain(reference)
        else:
            found = home.deal(deal)
            body = ExplainAsk(
                deal=found.id,
                action=do,
                purpose=purpose or found.purpose or None,
                columns=uses or None,
                rows=rows,
            )
            told = home.call("explain", body=body)
    shown: list[tuple[str, object]] = [
        ("outcome", told.outcome),
        ("rule", told.rule),
        ("because", told.because),
        ("bound", told.bound),
        ("resets", moment(told.resets_at)),
        ("agreement", told.deal),
        ("obligations", "\n".join(told.obligations)),
        ("stands in", told.source),
        ("at", moment(told.at)),
        ("reference", told.reference),
    ]
    talk.fields(told, shown)
