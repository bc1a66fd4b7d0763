# SPDX-License-Identifier: Apache-2.0
"""`corridor offer`: look at data, check terms, publish, hide."""

from __future__ import annotations

from pathlib import Path

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import Talk, moment, short, talk_of
from corridor.client import offering
from corridor.client.faces import text_of
from corridor.errors import Invalid, Problem
from corridor.wire.home import Fault, OfferView, TermsChecked

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Offer data: look at it, check terms, publish, hide.",
)
PATTERNS = ("open", "official-statistics", "research")
DATA = typer.Option("", help="A local file, node:/PATH, or s3:// az:// gs://.")
TERMS = typer.Argument(..., metavar="FILE", help="A terms file (YAML).")


@app.command()
def new(
    context: typer.Context,
    *,
    data: str = typer.Argument(..., metavar="FILE|URL", help=DATA.help),
    id_: str = typer.Option("", "--id", help="The asset's id; else from the file's name."),
    service: str = typer.Option("", help="files or tables; else from the data."),
    pattern: str = typer.Option("open", help=" | ".join(PATTERNS)),
    title: str = typer.Option("", help="Shown to partners."),
    out: Path = typer.Option(None, help="Where to write the terms; else FILE.terms.yaml."),
) -> None:
    """Look at data, and propose terms to read and edit.

    corridor offer new survey.parquet --pattern official-statistics

    corridor offer new node:/srv/energy.csv --id energy --out energy.yaml
    """
    talk = talk_of(context)
    if pattern not in PATTERNS:
        raise Invalid(f"no pattern {pattern}", code="usage", cause=f"there are: {PATTERNS}")
    name = id_ or Path(data.removeprefix("node:")).stem.lower().replace("_", "-")
    target = out or Path(f"{name}.terms.yaml")
    if target.exists():
        raise Invalid(f"{target} is there already", code="usage", mend="--out ANOTHER")
    with home_of(context) as home:
        looked = home.run(
            offering.look(
                home.line, data, asset=name, service=service, pattern=pattern, title=title
            )
        )
    target.write_text(looked.terms, encoding="utf-8")
    rows: list[tuple[str, object]] = [
        ("terms", target),
        ("service", looked.service),
        ("columns", looked.columns),
        *((name, str(it)) for name, it in looked.detail.items() if not isinstance(it, dict | list)),
    ]
    talk.fields({"file": str(target), "looked": looked}, rows)
    talk.say(f"read {target}, then: corridor offer publish {target} --data {data}")


@app.command()
def check(context: typer.Context, *, file: Path = TERMS, data: str = DATA) -> None:
    """All faults of terms at once, or what they mean.

    corridor offer check survey.yaml

    corridor offer check survey.yaml --data survey.parquet --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        told = home.offers.check(file, data or None)
    if told.problems:
        raise faulty(file, told)
    for warning in told.warnings:
        talk.warn(fault_line(warning))
    rows: list[tuple[str, object]] = [
        ("asset", told.asset),
        ("service", told.service),
        ("title", text_of(told.title)),
        ("terms", "\n".join(told.plain)),
        ("promises", "\n".join(told.promises)),
        ("shown to", told.show_to),
        ("terms hash", told.terms_sha),
        ("permit hash", told.permit_sha),
    ]
    talk.fields(told, rows)


@app.command()
def publish(
    context: typer.Context,
    *,
    file: Path = TERMS,
    data: str = DATA,
    service: str = typer.Option("", help="files or tables, where the data could be either."),
    licence: str = typer.Option("", help="Shown in the catalogue."),
    synthetic: bool = typer.Option(False, "--synthetic", help="It describes nobody real."),
    draft: bool = typer.Option(False, "--draft", help="Keep it out of the catalogue for now."),
) -> None:
    """Offer data under terms. The terms are shown and confirmed before anybody sees them.

    corridor offer publish survey.yaml --data survey.parquet

    corridor offer publish survey.yaml --licence "CC BY 4.0" --yes
    """
    talk = talk_of(context)
    with home_of(context) as home:
        if not draft and not talk.options.yes:
            checked = home.offers.check(file, data or None)
            if checked.problems:
                raise faulty(file, checked)
            for line in checked.plain:
                talk.say(f"  {line}")
            talk.confirm(f"Partners may do this with {checked.asset}. Publish?")
        offer = home.offers.add(
            file,
            data or None,
            publish=not draft,
            service=service,
            licence=licence,
            synthetic=synthetic,
        )
    _show(talk, offer.view)


@app.command()
def hide(
    context: typer.Context, id_: str = typer.Argument(..., metavar="ID", help="Offer or asset.")
) -> None:
    """Take an offer out of the catalogue; agreements stay.

    corridor offer hide 0193c1f0

    corridor offer hide energy-survey --json
    """
    with home_of(context) as home:
        _show(talk_of(context), home.offers.get(id_).hide().view)


@app.command("list")
def list_offers(context: typer.Context) -> None:
    """Our own offers.

    corridor offer list

    corridor offer list --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found = [it.view for it in home.offers]
    rows = [
        (short(it.id), it.asset, it.service, it.state, it.agreements, text_of(it.title),
         moment(it.changed))
        for it in found
    ]  # fmt: skip
    names = ("ID", "ASSET", "SERVICE", "STATE", "AGREEMENTS", "TITLE", "CHANGED")
    talk.table({"items": found}, names, rows, empty="nothing is offered: corridor offer new FILE")


@app.command()
def show(
    context: typer.Context,
    *,
    id_: str = typer.Argument(..., metavar="ID", help="Offer or asset."),
    plain: bool = typer.Option(False, "--plain", help="Only what the terms say, in words."),
    yaml: bool = typer.Option(False, "--yaml", help="Only the terms file."),
    odrl: bool = typer.Option(False, "--odrl", help="Only the ODRL policy."),
) -> None:
    """One offer, with its terms.

    corridor offer show energy-survey

    corridor offer show 0193c1f0 --yaml > survey.yaml
    """
    talk = talk_of(context)
    with home_of(context) as home:
        it = home.offers.get(id_).view
    if plain:
        talk.object({"plain": it.plain}, lambda: it.plain)
    elif yaml:
        talk.object({"terms": it.terms}, lambda: [it.terms.rstrip()])
    elif odrl:
        talk.json(it.odrl)
    else:
        _show(talk, it)


def _show(talk: Talk, it: OfferView) -> None:
    for warning in it.warnings:
        talk.warn(fault_line(warning))
    rows: list[tuple[str, object]] = [
        ("offer", it.id),
        ("asset", it.asset),
        ("service", it.service),
        ("state", it.state),
        ("title", text_of(it.title)),
        ("terms", "\n".join(it.plain)),
        ("terms hash", it.terms_sha),
        ("agreements", it.agreements),
        ("changed", moment(it.changed)),
    ]
    talk.fields(it, rows)


def fault_line(it: Fault) -> str:
    """`FILE:LINE  PATH: what is wrong. How to mend it. [code]`."""
    place = f"{it.source}:{it.line}  " if it.source and it.line else ""
    mend = f" {it.mend}" if it.mend else ""
    return f"{place}{it.path}: {it.message}{mend} [{it.code}]"


def faulty(file: Path, told: TermsChecked) -> Invalid:
    """Terms with faults; exit 2."""
    count = len(told.problems)
    first = told.problems[0].code
    return Invalid(
        f"{file} has {count} fault{'s' if count > 1 else ''}",
        code="invalid",
        problems=[
            Problem(it.path, it.message, it.code, line=it.line, source=it.source, mend=it.mend)
            for it in told.problems
        ],
        mend=f"corridor help {first}",
    )
