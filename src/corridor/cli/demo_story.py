# SPDX-License-Identifier: Apache-2.0
"""The demonstration's story: offer, find, agree, read, download, prove, refuse, withdraw.

Each step is a function that does it for real through the SDK, checks what came out, and says what
people read. A step whose outcome is not the expected one ends the story with exit 1.
"""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from corridor.cli.demo_nodes import Pair
from corridor.cli.progress import Progress
from corridor.cli.talk import Talk, duration, moment, size
from corridor.client.home import Deal, Home, Result
from corridor.client.receipts import Receipt
from corridor.client.result import library
from corridor.errors import BudgetSpent, CorridorError, Ended, QueryRefused, Refused
from corridor.wire.home import PartnerAsk

SLOW_S = 2.0
REQUESTS = 3
PURPOSE = "official-statistics"
OTHER_PURPOSE = "scientific-research"
SOURCE = "UN World Population Prospects 2024"
LICENCE = "CC BY 3.0 IGO"
ATTRIBUTION = (
    "United Nations, Department of Economic and Social Affairs, Population Division (2024). World "
    "Population Prospects 2024, Online Edition."
)
TABLE_TERMS = f"""\
title: {{en: "Population of twelve countries by year, sex and age"}}
description: {{en: "{SOURCE} · {LICENCE}. {ATTRIBUTION}"}}
asset: population
allow:
  - action: read
    purpose: {PURPOSE}
    columns:
      country: dimension
      year: dimension
      sex: dimension
      age_group: dimension
      persons: measure
    rows: ["year >= 2000"]
    quota: {{requests: {{day: {REQUESTS}}}}}
duties:
  - attribute: {{text: "{SOURCE} · {LICENCE}"}}
"""
FILE_TERMS = f"""\
title: {{en: "The same rows as a CSV file"}}
description: {{en: "{SOURCE} · {LICENCE}. {ATTRIBUTION}"}}
asset: population-csv
allow:
  - action: use
    purpose: {PURPOSE}
duties:
  - attribute: {{text: "{SOURCE} · {LICENCE}"}}
"""


class Broken(CorridorError):
    """The demonstration did not go as it must."""

    code = "internal"


@dataclass(slots=True)
class Step:
    """One step: what was done, how long it took, and what it showed."""

    name: str
    seconds: float = 0.0
    what: str = ""
    lines: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As --json tells it."""
        return {
            "step": self.name,
            "what": self.what,
            "ms": round(self.seconds * 1000),
            "lines": self.lines,
            **self.facts,
        }


class Story:
    """What is known so far, and the steps done."""

    def __init__(self, talk: Talk, pair: Pair, stat: Home, institute: Home) -> None:
        self.talk = talk
        self.pair = pair
        self.stat = stat
        self.institute = institute
        self.steps: list[Step] = []
        self.deals: dict[str, Deal] = {}
        self.answers: list[Result] = []
        self.receipts: list[Receipt] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time what is done inside, then tell it."""
        it = Step(name)
        begin = time.monotonic()
        yield it
        if not it.seconds:
            it.seconds = time.monotonic() - begin
        self.steps.append(it)
        self.tell(it)

    def tell(self, it: Step) -> None:
        """A step for people."""
        if self.talk.options.json:
            return
        took = duration(it.seconds)
        slow = self.talk.colour("  slow", "warning") if it.seconds > SLOW_S else ""
        self.talk.write(f"  {it.name:8} {it.what:76} {took:>8}{slow}")
        for line in it.lines:
            self.talk.write(f"           {line}")


def play(talk: Talk, pair: Pair) -> Story:
    """The whole story; raises where something did not go as it must."""
    with ExitStack() as stack:
        stat = stack.enter_context(pair.stat.home())
        institute = stack.enter_context(pair.institute.home())
        story = Story(talk, pair, stat, institute)
        for act in ACTS:
            act(story)
        return story


# 1 the provider offers


def offer(story: Story) -> None:
    """A table and a file, with the licence named."""
    source = importlib.resources.files("corridor.cli") / "demo_data" / "population.parquet"
    with story.step("offer") as it, importlib.resources.as_file(source) as table:
        rows = library("pyarrow.parquet").read_table(table)
        csv = story.pair.folder / "population.csv"
        library("pyarrow.csv").write_csv(rows, csv)
        story.stat.offers.add(TABLE_TERMS, table, publish=True, licence=LICENCE)
        story.stat.offers.add(FILE_TERMS, csv, publish=True, service="files", licence=LICENCE)
        it.what = "stat offers a table and a file"
        it.lines = [
            f"population      {rows.num_rows:,} rows   REAL   {SOURCE} · {LICENCE}",
            f"population-csv  1 file        REAL   the same rows, {size(csv.stat().st_size)}",
        ]
        it.facts = {"rows": rows.num_rows, "licence": LICENCE}
        offers = {one.asset: one.state for one in story.stat.offers}
        expect(offers == {"population": "published", "population-csv": "published"}, str(offers))


# 2 the consumer finds and agrees


def find(story: Story) -> None:
    """Both are in the partner's catalogue."""
    with story.step("find") as it:
        body = PartnerAsk(did=story.pair.stat.did, handle="stat")
        story.institute.call("partner.add", body=body)
        found = {one.id: one for one in story.institute.find(partner="stat")}
        expect(found.keys() == {"population", "population-csv"}, f"found {sorted(found)}")
        expect(found["population"].licence == LICENCE, "the licence is not in the catalogue")
        it.what = f"{len(found)} offers from stat"
        it.lines = [f"{one.id:14}  {one.title} · {one.licence}" for one in found.values()]


def agree(story: Story) -> None:
    """Two negotiations, each to FINALIZED."""
    for asset in ("population", "population-csv"):
        with story.step("agree") as it:
            deal = story.institute.partner("stat").asset(asset).request(PURPOSE, wait_s=15.0)
            if deal.pending:
                deal.wait(timeout_s=15.0)
            expect(deal.state == "live", f"the deal about {asset} is {deal.state}")
            negotiation = story.institute.call("negotiation", id=deal.view.negotiation)
            expect(negotiation.state == "FINALIZED", f"the negotiation is {negotiation.state}")
            story.deals[asset] = deal
            told = deal.id.removeprefix("urn:uuid:")[:13]
            it.what = f"{asset}, purpose {PURPOSE} · agreement {told} {negotiation.state}"
            it.facts = {"agreement": deal.id}


# 3 rows and a file


def read(story: Story) -> None:
    """Agreed rows as Arrow."""
    with story.step("read") as it:
        answer = story.deals["population"].read(
            ["country", "sex", "age_group", "persons"],
            where=[("year", "=", 2025)],
            order=["-persons"],
            purpose=PURPOSE,
        )
        table = answer.to_arrow()
        story.answers.append(answer)
        expect(table.column_names == list(answer.columns), str(table.column_names))
        expect(0 < table.num_rows < 1000, f"{table.num_rows} rows")
        it.what = (
            f"country, sex, age_group, persons where year = 2025 · {table.num_rows:,} rows as Arrow"
        )
        it.lines = [
            f"{row['country']:8} {row['sex']:7} {row['age_group']:>6} {row['persons']:>12,}"
            for row in answer.to_dicts(3)
        ]
        it.facts = {"rows": table.num_rows, "first": answer.to_dicts(3)}


def download(story: Story) -> None:
    """The file, with progress, its digest checked."""
    target = story.pair.folder / "downloads"
    target.mkdir(exist_ok=True)
    deal = story.deals["population-csv"]
    with story.step("fetch") as it:
        with Progress(story.talk, "population-csv") as progress:
            got = deal.fetched(to=target, progress=progress)
        progress.end(f"{size(got.bytes)}, digest checked")
        sent = (story.pair.folder / "population.csv").read_bytes()
        expect(got.path.read_bytes() == sent, "the file differs from what was offered")
        it.what = (
            f"population-csv · {size(got.bytes)} · SHA-256 {got.digest[7:19]}… is the one told"
        )
        it.facts = {"bytes": got.bytes, "digest": got.digest}
        story.receipts.append(deal.receipt_for(got))


# 4 proof


def prove(story: Story) -> None:
    """Each answer has a receipt that verifies offline, digests included."""
    with story.step("prove") as it:
        story.receipts += [answer.receipt for answer in story.answers]
        for receipt in story.receipts:
            verified = receipt.verify()
            expect(verified.response, "the answer's digest was not compared")
            it.lines.append(
                f"{receipt.act:6} receipt {receipt.id[:13]} · entry {verified.index} of stat's "
                f"ledger of {verified.size} · answer's digest equal"
            )
        it.what = f"{len(story.receipts)} receipts signed by stat, verified here"
        it.facts = {"receipts": [receipt.id for receipt in story.receipts]}


# 5 refusals


def refuse(story: Story) -> None:
    """A column not listed, a purpose not named, a quota spent."""
    deal = story.deals["population"]
    asked: list[tuple[str, str, Callable[[], object]]] = [
        (
            "columns",
            "column age_from, which the terms do not list",
            lambda: deal.read(["country", "age_from"], purpose=PURPOSE),
        ),
        (
            "purpose",
            f"purpose {OTHER_PURPOSE}, which they do not name",
            lambda: deal.read(["country"], purpose=OTHER_PURPOSE),
        ),
    ]
    for rule, what, act in asked:
        with story.step("refused") as it:
            error = refused(act)
            expect(error.rule == rule, f"refused by {error.rule or error.code}, not by {rule}")
            it.what = what
            it.lines = reasons(error)
            it.facts = {"code": error.code, "rule": error.rule}
    for _ in range(REQUESTS - len(story.answers)):
        story.answers.append(deal.read(["country"], limit=1, purpose=PURPOSE))
    with story.step("refused") as it:
        error = refused(lambda: deal.read(["country"], limit=1, purpose=PURPOSE))
        expect(isinstance(error, BudgetSpent), f"{error.code} instead of a spent quota")
        it.what = f"question {REQUESTS + 1} of a quota of {REQUESTS} a day"
        it.lines = reasons(error)
        it.facts = {"code": error.code, "rule": error.rule}


def refused(act: Callable[[], object]) -> Refused:
    """The refusal that must come."""
    try:
        act()
    except Refused as error:
        return error
    raise Broken("something was allowed that must be refused")


def reasons(error: Refused) -> list[str]:
    """The public rule, why, and what would pass."""
    lines = [f"[{error.code}] rule {error.rule}: {error.what}"]
    if error.cause:
        lines.append(error.cause)
    if isinstance(error, QueryRefused) and error.would_pass:
        lines.append(f"would pass: {error.would_pass}")
    if isinstance(error, BudgetSpent) and error.resets_at and not error.cause:
        lines.append(f"resets {moment(error.resets_at)}")
    return lines


# 6 withdrawal


def withdraw(story: Story) -> None:
    """The provider ends it; the next read is refused."""
    deal = story.deals["population-csv"]
    ours = story.stat.deal(deal.id)
    with story.step("end") as it:
        begin = time.monotonic()
        told = ours.withdraw("end of the demonstration")
        expect(told.done, "the withdrawal was not done")
        try:
            deal.fetched(to=story.pair.folder / "downloads", resume=False)
        except (Ended, Refused) as error:
            it.seconds = time.monotonic() - begin
            it.what = f"stat withdraws population-csv; the next read is refused ({error.code})"
            it.lines = [f"from the withdrawal to the refusal {duration(it.seconds)}"]
            it.facts = {"code": error.code, "after_ms": round(it.seconds * 1000)}
        else:
            raise Broken("a read was answered after the withdrawal")


ACTS: tuple[Callable[[Story], None], ...] = (
    offer, find, agree, read, download, prove, refuse, withdraw,
)  # fmt: skip


def expect(holds: object, otherwise: str) -> None:
    """The story is a test too."""
    if not holds:
        raise Broken("the demonstration did not go as it must", cause=otherwise)


def slowest(story: Story) -> Step:
    """Which step took longest."""
    return max(story.steps, key=lambda it: it.seconds)


SCRIPT = """\
import corridor

stat, home = corridor.connect(profile="demo-stat"), corridor.connect(profile="demo")
for asset in home.find(): print(asset.partner, asset.id, asset.title, asset.licence)
deal = home.partner("stat").asset("population").request("official-statistics")
answer = deal.read(["country", "persons"], where=[("year", "=", 2025)], order=["-persons"], limit=3)
print(answer.to_arrow().to_pylist(), answer.receipt.verify().index)
path = home.partner("stat").asset("population-csv").request("official-statistics").fetch(to=".")
try: deal.read(["age_from"])
except corridor.QueryRefused as refused: print(refused.rule, refused.would_pass)
stat.deal(deal.id).withdraw("the study has ended")
try: deal.read(["country"])
except (corridor.Ended, corridor.Refused) as refused: print(refused.code, path)"""
