# SPDX-License-Identifier: Apache-2.0
"""Say in the closing lines that the specification's files were missing."""

from pathlib import Path

import pytest

_SPEC = Path(__file__).resolve().parents[3] / "shared" / "spec"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _SPEC.is_dir():
        terminalreporter.section("NOT TESTED AGAINST THE SPECIFICATIONS", red=True)
        terminalreporter.line("../shared/spec is not beside the checkout")
