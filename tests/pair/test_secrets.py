# SPDX-License-Identifier: Apache-2.0
"""Nothing planted comes out where it does not belong: logs, metrics, events, entries in clear.

evidence.md 2.6: persons, reasons, notes and tokens stand in the ledger as salted digests only;
node.md g: logs, metrics and events hold no bodies, no tokens, no rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pair.people import PURPOSE, Person, Two, played
from tests.pair.using import entries

NOTE, REASON, PERSON = "planted-note-81", "planted-reason-82", "Planted Person 83"


def test_what_is_planted_stays_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = [NOTE, REASON, PERSON]
    seen: list[str] = []

    @played
    async def story(two: Two) -> None:
        made = await two.stat.ask(
            "POST",
            "/api/v1/tokens",
            {"name": PERSON, "roles": ["steward"], "participant": "provider"},
        )
        secrets.append(made.json["secret"])
        steward = Person(**{**vars(two.stat), "token": made.json["secret"]})
        await two.offer(PURPOSE)
        await two.know()
        deal = await two.deal(purpose="official-statistics", note=NOTE)
        answers: list[int] = []
        for _ in range(6):  # the last one is refused
            path = f"agreements/{deal['id']}/files/"
            answers.append((await two.lab.ask("GET", path)).status)
        assert answers == [200] * 5 + [429]
        address = (await two.lab.ask("GET", "transfers")).json["items"]
        shown = await two.lab.ask("GET", f"transfers/{address[0]['pid']}/address")
        secrets.append(shown.json["authorization"])
        told = {"reason": REASON}
        ended = await steward.ask("POST", f"agreements/{deal['id']}/withdraw", told)
        assert ended.status == 200, ended.body
        await two.pair.net.settle()
        secrets.extend(
            value.rpartition(".")[2]
            for it in two.pair.net.sent
            if len(value := it.headers.get("authorization", "")) > 40
        )
        secrets.extend(("1950,0", "1951,1000"))  # rows of the file
        told = [await person.ask("GET", "/metrics") for person in (two.stat, two.lab)]
        seen.extend(it.body.decode() for it in told)
        for name in ("provider", "consumer"):
            seen.append(json.dumps(entries(two.pair, name)))
            events = getattr(two.pair, name).store.of(name).events.after(0, 1000)
            assert events
            seen.extend(bytes(it.data).decode() for it in events)

    story(tmp_path=tmp_path)
    out, err = capsys.readouterr()
    assert "agreement.withdrawn" in out
    found: list[Any] = [it for it in secrets if any(it in text for text in (*seen, out, err))]
    assert len(secrets) > 10
    assert not found
