# SPDX-License-Identifier: Apache-2.0
"""How the command line speaks: tables, errors, foreign text, words that people type."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.cli import words
from corridor.cli.options import Options, split
from corridor.cli.progress import Progress, bar, line
from corridor.cli.talk import Talk, aligned, duration, moment, safe, short, size
from corridor.codes import Exit
from corridor.errors import BudgetSpent, CorridorError, Invalid, Pending, Problem, QueryRefused


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def talk(**more: Any) -> tuple[Talk, io.StringIO, io.StringIO]:
    terminal = more.pop("terminal", False)
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    environ = more.pop("environ", {"COLUMNS": "80"})
    return Talk(Options(**more), environ, out=out, err=err), out, err


def test_an_error_has_one_layout() -> None:
    it, out, err = talk()
    error = QueryRefused(
        "the agreement does not allow this question",
        rule="columns",
        would_pass="region, avg(kwh)",
        cause="household is a unit",
        reference="4c1e-90b7",
    )
    assert it.fail(error) == Exit.REFUSED
    assert out.getvalue() == ""
    assert err.getvalue().splitlines() == [
        "error[query-refused]: the agreement does not allow this question",
        "  cause  household is a unit   rule columns",
        "  mend   region, avg(kwh)",
        "  help   corridor help query-refused · reference 4c1e-90b7",
    ]


def test_all_problems_are_told() -> None:
    it, _, err = talk()
    faults = [Problem("a", "no such key", "setting-unknown", line=3, source="f.toml"),
              Problem("b", "is missing.", "setting-missing", mend="write it")]  # fmt: skip
    assert it.fail(Invalid("2 faults", problems=faults, code="setting-unknown")) == 10
    assert "f.toml:3  a: no such key. [setting-unknown]" in err.getvalue()
    assert "b: is missing. Write it [setting-missing]" in err.getvalue()


@pytest.mark.parametrize(
    ("error", "told", "status"),
    [
        (BudgetSpent("spent", resets_at="2026-12-01T00:00:00Z"), "2026-12-01 00:00 UTC", 11),
        (Pending("a person decides", waiting_for="stat", since="2026-11-22T14:02:00Z"), "stat", 5),
        (CorridorError("odd", code="store-newer"), "run the newer", 10),
    ],
)
def test_what_an_error_knows_is_told(error: CorridorError, told: str, status: int) -> None:
    it, _, err = talk()
    assert it.fail(error) == status
    assert told in err.getvalue()


def test_colours_are_for_terminals_that_want_them() -> None:
    assert "\x1b[" in _failed(terminal=True)
    assert "\x1b[" not in _failed(terminal=True, no_color=True)
    assert "\x1b[" not in _failed(terminal=True, environ={"NO_COLOR": "1"})
    assert "\x1b[" not in _failed()
    assert "\x1b[" in _failed(environ={"FORCE_COLOR": "1"})


def _failed(**more: Any) -> str:
    it, _, err = talk(**more)
    it.fail(CorridorError("x"))
    return err.getvalue()


def test_quiet_prints_errors_only() -> None:
    it, _, err = talk(quiet=True)
    it.say("a word")
    it.warn("another")
    assert err.getvalue() == ""
    it.fail(CorridorError("x"))
    assert err.getvalue().startswith("error[internal]: x")


def test_a_question_without_anybody_names_its_option() -> None:
    it, _, _ = talk(no_input=True)
    with pytest.raises(Invalid) as caught:
        it.ask("Public name", option="--domain")
    assert caught.value.mend == "give --domain"
    assert it.ask("Folder", option="--data", default="/var") == "/var"
    with pytest.raises(Invalid):
        it.confirm("Sure?")
    talk(yes=True)[0].confirm("Sure?")


def test_a_terminal_gets_an_aligned_table_that_fits() -> None:
    it, out, _ = talk(terminal=True, no_color=True, environ={"COLUMNS": "40"})
    it.table({}, ("NAME", "COUNT"), [("x" * 60, 1234), ("中国", 5)])
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].endswith("1,234")
    assert lines[2].startswith("中国 ")


def test_data_are_not_grouped() -> None:
    it, out, _ = talk(terminal=True, no_color=True)
    it.table({}, ("year",), [(2025,)], grouped=False)
    assert out.getvalue().splitlines()[1] == "2025"


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=5), st.integers(20, 90))  # fmt: skip
def test_any_table_fits(rows: list[tuple[str, str]], width: int) -> None:
    plain = [tuple(" ".join(safe(it).split()) for it in row) for row in rows]
    told = aligned(("A", "B"), plain, right=(False, False), width=max(width, 30), dim=str)
    assert len(told) == len(rows) + 1


@given(st.text())
def test_foreign_text_cannot_speak_to_the_terminal(told: str) -> None:
    assert not {"\x1b", "\x07", "\r", "\u202e", "\u2066"} & set(safe(told))


def test_progress_draws_on_a_terminal_after_a_while_only() -> None:
    it, _, err = talk(terminal=True)
    with Progress(it, "data", after_s=0.0) as progress:
        progress(500, 1000)
        assert "data" in err.getvalue()
        assert err.getvalue().count("\r") == 1
    assert err.getvalue().endswith("\r\x1b[K")
    it, _, err = talk(terminal=True)
    with Progress(it, "data") as progress:
        progress(500, 1000)
    assert err.getvalue() == ""
    it, _, err = talk()
    with Progress(it, "data", after_s=0.0) as progress:
        progress(500, 1000)
        progress.end("done")
    assert err.getvalue() == "data: begins\ndata: done\n"


@given(st.integers(0, 1 << 50), st.none() | st.integers(0, 1 << 50), st.floats(0, 1e6))
def test_any_progress_is_one_line(done: int, total: int | None, seconds: float) -> None:
    assert "\n" not in line("x", done, total, seconds)
    assert len(bar(done, total)) <= 26


def test_small_words() -> None:
    assert (size(999), size(648_363), size(4_000_000_000)) == ("999 B", "648.4 kB", "4.0 GB")
    assert (duration(0.0163), duration(2.04)) == ("16 ms", "2.0 s")
    assert moment("2026-11-22T09:15:58.887Z") == "2026-11-22 09:15 UTC"
    assert moment("2026-11-23T00:00:00+00:00") == "2026-11-23 00:00 UTC"
    assert moment(None) == ""
    assert short("urn:uuid:0193c1f0-8a41-7000-8000-000000000000") == "0193c1f0-8a41"


# what people type


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("year = 2025", ("year", "=", 2025)),
        ("year>=2000", ("year", ">=", 2000)),
        ("sex != male", ("sex", "!=", "male")),
        ("name = '2025'", ("name", "=", "2025")),
        ("name = 'O''Hara'", ("name", "=", "O'Hara")),
        ("kwh < 1.5", ("kwh", "<", 1.5)),
        ("on = true", ("on", "=", True)),
        ("country in (China, 'Viet Nam', 3)", ("country", "in", ["China", "Viet Nam", 3])),
        ("country IN China", ("country", "in", ["China"])),
        ("страна = Србија", ("страна", "=", "Србија")),
    ],
)
def test_conditions(told: str, wanted: object) -> None:
    assert words.condition(told) == wanted


@given(st.text(max_size=60))
def test_any_condition_is_read_or_refused(told: str) -> None:
    try:
        name, op, _ = words.condition(told)
    except Invalid:
        return
    assert name
    assert op in {"=", "!=", "<", "<=", ">", ">=", "in"}


@pytest.mark.parametrize(
    ("told", "wanted"), [("30s", 30.0), ("5m", 300.0), ("250ms", 0.25), ("0", 0.0), ("1.5h", 5400)]
)
def test_durations(told: str, wanted: float) -> None:
    assert words.seconds(told, "--wait") == wanted


@given(st.text(max_size=12))
def test_any_duration_is_read_or_refused(told: str) -> None:
    try:
        assert words.seconds(told, "--wait") >= 0
    except Invalid as error:
        assert error.code == "usage"  # noqa: PT017 - what is refused is refused as usage


def test_global_options_stand_anywhere() -> None:
    options, rest = split(["deal", "--json", "list", "--profile", "demo", "--state=live"])
    assert options == Options(json=True, profile="demo")
    assert rest == ["deal", "list", "--state=live"]
    assert split(["query", "--", "--json"])[1] == ["query", "--", "--json"]
    assert split(["--config=x.toml"])[0].config == "x.toml"


@given(st.lists(st.text(max_size=10) | st.sampled_from(["--json", "--lang", "--yes", "--"])))
def test_any_line_is_split_or_refused(line_: list[str]) -> None:
    try:
        split(line_)
    except Invalid as error:
        assert error.code == "usage"  # noqa: PT017 - as above
