# SPDX-License-Identifier: Apache-2.0
"""The generator of the reference: it sees what is there, and its check sees what is not."""

from __future__ import annotations

from pathlib import Path

import docs
import pytest
import typer

from corridor.errors import CODES
from corridor.protocol import negotiation, transfer
from corridor.settings import PARTICIPANT, SECTIONS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "decisions").mkdir(parents=True)
    (tmp_path / "docs" / "decisions" / "0001-figure-and-text.md").write_text("# 1\n")
    assert docs.main([]) == 0
    return tmp_path / "docs"


def test_what_was_just_written_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["--check"]) == 0
    assert "as the code says" in capsys.readouterr().out
    assert {path.stem for path in (folder / "errors").glob("*.md")} == set(CODES)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda d: (d / "errors/refused.md").write_text("nothing"),
            "errors/refused.md is not what",
        ),
        (lambda d: (d / "reference/limits.md").unlink(), "reference/limits.md is not what"),
        (
            lambda d: (d / "errors/gone.md").write_text("<!-- Made by tools/docs.py from x -->\n"),
            "errors/gone.md is of something that is gone",
        ),
        (lambda d: (d / "a.md").write_text("[b](b.md)"), "docs/a.md: no b.md"),
        (
            lambda d: (d / "a.md").write_text("[l](reference/limits.md#nowhere)"),
            "no heading for reference/limits.md#nowhere",
        ),
    ],
    ids=["changed", "missing", "stale", "link", "anchor"],
)
def test_the_check_sees_it(
    folder: Path, capsys: pytest.CaptureFixture[str], change, told: str
) -> None:
    change(folder)
    assert docs.main(["--check"]) == 1
    assert told in capsys.readouterr().out


def test_what_people_add_to_a_page_stays(folder: Path) -> None:
    page = folder / "errors" / "refused.md"
    page.write_text(page.read_text() + f"\n{docs.KEPT}\nAn example.\n")
    assert docs.main([]) == 0
    assert page.read_text().endswith("An example.\n")
    assert docs.main(["--check"]) == 0


def test_every_arrow_and_every_setting_is_on_its_page(folder: Path) -> None:
    states = (folder / "reference/states.md").read_text()
    for state, sender, step in [*negotiation.ARROWS, *transfer.ARROWS, *transfer.RESUMED]:
        assert f"| {state or '–'} | {sender} | {step} |" in states
    settings = (folder / "reference/settings.md").read_text()
    for section, rows in {**SECTIONS, "participant": PARTICIPANT}.items():
        if section != "limits":
            assert all(f"| `{name}` |" in settings for name in rows)


def test_every_command_is_on_the_page() -> None:
    app, deals = typer.Typer(help="Corridor."), typer.Typer(help="Agreements.")

    @app.command()
    def demo(once: bool = typer.Option(False, "--once", help="stop by itself")) -> None:
        """Two nodes."""

    @deals.command("show")
    def show(name: str = typer.Argument(..., help="which one")) -> None:
        """One deal."""

    app.add_typer(deals, name="deal")
    ((path, text),) = docs.command_page(app)
    assert path == "reference/cli.md"
    for part in ("## `corridor demo`", "`--once` | stop by itself", "## `corridor deal show`"):
        assert part in text
    assert "which one" in text
    assert "One deal." in text
