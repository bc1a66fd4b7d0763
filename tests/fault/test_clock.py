# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump: nothing is agreed, signed or served by a wrong one, and right ones go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.fault.town import Fault, Nursery, status_of, town

HOURS = 2 * 3600.0


@pytest.mark.parametrize("off_s", [-HOURS, HOURS])
@pytest.mark.parametrize("whose", ["provider", "consumer"])
def test_a_clock_that_jumps_during_a_run(
    nursery: Nursery, tmp_path: Path, whose: str, off_s: float
) -> None:
    with town(tmp_path, nursery) as made:
        made.converse(made.offer())
        offer = made.offer()
        node = getattr(made, whose)
        node.ask("clock", off_s=off_s)
        asked = made.consumer.ask(
            "request", offer=offer, peer=made.provider.did, base=made.provider.base, wait_s=1.2
        )
        assert asked["state"] != "FINALIZED"
        logs = made.provider.log.read_text(encoding="utf-8")
        why = "expired" if (off_s < 0) == (whose == "consumer") else "not valid yet"
        assert why in logs, "the refusal says what is wrong with the token"
        ready = 503 if off_s < 0 else 200
        assert status_of(node, "/readyz") == ready
        node.ask("clock", off_s=0.0)
        made.converse(offer)
        made.check(offer)


def test_a_clock_that_was_ahead_and_has_written(nursery: Nursery, tmp_path: Path) -> None:
    """Entries of the future stand in the ledger: until then the node does not start."""
    with town(tmp_path, nursery) as made:
        made.converse(made.offer())
        for node in made.nodes:
            node.ask("clock", off_s=HOURS)
        offer = made.offer()
        made.converse(offer)
        made.provider.kill()
        with pytest.raises(Fault) as told:
            made.provider.start()
        assert told.value.code == "clock-off"
        assert "behind" in str(told.value)
        made.provider.start(off_s=HOURS)
        made.fetch(offer)
        made.check(offer)


def test_a_clock_that_is_behind_at_a_start(nursery: Nursery, tmp_path: Path) -> None:
    with town(tmp_path, nursery) as made:
        offer = made.offer()
        made.agree(offer)
        made.provider.kill()
        with pytest.raises(Fault) as told:
            made.provider.start(off_s=-HOURS)
        assert told.value.code == "clock-off"
        made.provider.start()
        made.fetch(offer)
        made.check(offer)


def test_an_agreement_ends_on_the_clock(nursery: Nursery, tmp_path: Path) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    until = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": end}
    with town(tmp_path, nursery) as made:
        offer = made.offer({"permission": [{"action": "use", "constraint": [until]}]})
        made.converse(offer)
        for node in made.nodes:
            node.ask("clock", off_s=HOURS)
        with pytest.raises(Fault) as told:
            made.consumer.ask("download", offer_id=offer["@id"], into=str(made.root / "late"))
        assert told.value.code in ("agreement-ended", "agreement-expired", "refused"), told.value
        assert not (made.root / "late").exists()
