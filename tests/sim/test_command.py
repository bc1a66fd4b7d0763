# SPDX-License-Identifier: Apache-2.0
"""`corridor sim`: the same arguments, answers and exit statuses as the simulator's own."""

from __future__ import annotations

import pytest

from corridor.cli.root import run


def test_one_seed_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "--seed", "3", "--until", "5"], {}) == 0
    assert capsys.readouterr().out.endswith("1 passed, 0 failed\n")


def test_several_from_one_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "--seeds", "2", "--from", "7", "--until", "5"], {}) == 0
    assert capsys.readouterr().out.endswith("2 passed, 0 failed\n")


def test_none_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "--seeds", "0"], {}) == 1
    assert capsys.readouterr().out.endswith("0 passed, 0 failed\n")


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["sim", "--peer", "nobody"], {})
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
