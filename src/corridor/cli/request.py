# SPDX-License-Identifier: Apache-2.0
"""`corridor request`: ask a partner for an agreement."""

from __future__ import annotations

from pathlib import Path

import typer

from corridor.cli.away import home_of
from corridor.cli.deal import show_deal
from corridor.cli.talk import talk_of
from corridor.cli.words import seconds
from corridor.client.faces import Terms
from corridor.client.flows import pending
from corridor.client.home import Asset, Home
from corridor.errors import Invalid, NotFound, Refused

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def request(
    context: typer.Context,
    *,
    asset: str = typer.Argument(..., help="ASSET, or PARTNER/ASSET."),
    purpose: str = typer.Option("", help="What for: one that the offer names."),
    terms: Path = typer.Option(None, help="Narrower terms (YAML) to ask for instead."),
    note: str = typer.Option("", help="A word to whoever decides."),
    wait: str = typer.Option("30s", help="How long to wait for the outcome; 0 goes home at once."),
    no_reuse: bool = typer.Option(False, "--no-reuse", help="Ask anew though there is a deal."),
) -> None:
    """Ask a partner for an agreement.

    corridor request population --purpose official-statistics

    corridor request stat/population --terms narrower.yaml --wait 5m
    """
    talk = talk_of(context)
    wait_s = seconds(wait, "--wait")
    with home_of(context) as home:
        found = find_asset(home, asset)
        if not purpose and found.purposes:
            raise Invalid(
                "this offer needs a purpose",
                code="purpose-missing",
                cause=f"it allows: {', '.join(found.purposes)}",
                mend=f"--purpose {found.purposes[0]}",
            )
        deal = found.request(
            purpose,
            terms=Terms.of(terms) if terms else None,
            note=note,
            wait_s=wait_s,
            reuse=not no_reuse,
        )
    show_deal(talk, deal.view)
    if deal.pending:
        raise pending(deal.view)
    if not deal.view.agreement:
        raise Refused(
            f"{deal.partner} and we did not agree", code="peer-refused", cause=deal.view.reason
        )


def find_asset(home: Home, asset: str) -> Asset:
    """By PARTNER/ASSET, or by the asset alone where only one partner offers it."""
    partner, slash, name = asset.rpartition("/")
    if slash:
        return home.partner(partner).asset(name)
    found = [it for it in home.find() if it.id == asset] or [
        it for it in home.find(fresh=True) if it.id == asset
    ]
    if len(found) > 1:
        names = ", ".join(f"{it.partner}/{it.id}" for it in found)
        raise Invalid(f"{asset} is offered by several", code="usage", cause=names)
    if not found:
        raise NotFound(f"no partner offers {asset}", mend="corridor find")
    return found[0]
