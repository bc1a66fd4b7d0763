# SPDX-License-Identifier: Apache-2.0
"""What our side does in each test of the kit: a table, and the counting that it needs.

The kit drives us by ids: a dataset names a negotiation test, an agreement a transfer test. Each
row says what we say by ourselves on entering a state; the n-th item is for the n-th entry of one
process, since a rule is consumed once per entry. A state that is not named, and an entry beyond
the row, means silence: the production rules must be off for these ids, or they would speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from corridor.protocol import negotiation, transfer

TESTS = 65  # 67, of which the kit itself disables two
PEER = "TCK_PARTICIPANT"
FORMAT = "HttpData-PULL"
DELAY_S = 0.2  # before every step of ours: the kit needs 100 ms to register its next handler
ANSWER_TIMEOUT_S = 3.0  # a message that the kit finds invalid is never answered

N, OFFER, ACCEPT, AGREE, VERIFY, FINALIZE = (
    negotiation.State,
    negotiation.Step.OFFER,
    negotiation.Step.ACCEPT,
    negotiation.Step.AGREE,
    negotiation.Step.VERIFY,
    negotiation.Step.FINALIZE,
)
COUNTER, END = negotiation.Step.REQUEST, negotiation.Step.TERMINATE
T, START, SUSPEND, COMPLETE, STOP = (
    transfer.State,
    transfer.Step.START,
    transfer.Step.SUSPEND,
    transfer.Step.COMPLETE,
    transfer.Step.TERMINATE,
)

Rule = Mapping[str, tuple[str, ...]]

AS_PROVIDER: Mapping[str, Rule] = MappingProxyType(
    {
        "ACN0101": {N.REQUESTED: (OFFER,)},
        "ACN0102": {N.REQUESTED: (OFFER, END)},
        "ACN0103": {N.REQUESTED: (OFFER,), N.ACCEPTED: (AGREE,), N.VERIFIED: (FINALIZE,)},
        "ACN0104": {N.REQUESTED: (AGREE,), N.VERIFIED: (FINALIZE,)},
        "ACN0201": {N.REQUESTED: (END,)},
        "ACN0202": {},
        "ACN0203": {N.REQUESTED: (AGREE,)},
        "ACN0204": {N.REQUESTED: (OFFER,)},
        "ACN0205": {N.REQUESTED: (OFFER,), N.OFFERED: (END,)},
        "ACN0206": {N.REQUESTED: (OFFER,), N.ACCEPTED: (END,)},
        "ACN0207": {N.REQUESTED: (AGREE,), N.VERIFIED: (END,)},
        "ACN0301": {N.REQUESTED: (AGREE,), N.VERIFIED: (FINALIZE,)},
        "ACN0302": {N.REQUESTED: (OFFER,)},
        "ACN0303": {N.REQUESTED: (OFFER,)},
        "ACN0304": {N.REQUESTED: (OFFER,)},
    }
)
AS_CONSUMER: Mapping[str, Rule] = MappingProxyType(
    {
        "ACNC0101": {N.OFFERED: (ACCEPT,), N.AGREED: (VERIFY,)},
        "ACNC0102": {N.OFFERED: (COUNTER,)},
        "ACNC0103": {N.OFFERED: (END,)},
        "ACNC0104": {N.AGREED: (VERIFY,)},
        "ACNC0201": {},
        "ACNC0202": {N.REQUESTED: (END,)},
        "ACNC0203": {N.AGREED: (END,)},
        "ACNC0204": {},
        "ACNC0205": {N.OFFERED: (ACCEPT,)},
        "ACNC0206": {N.AGREED: (VERIFY,)},
        "ACNC0301": {},
        "ACNC0302": {},
        "ACNC0303": {},
        "ACNC0304": {N.OFFERED: (ACCEPT,)},
        "ACNC0305": {N.OFFERED: (ACCEPT,)},
        "ACNC0306": {N.OFFERED: (ACCEPT,)},
    }
)
SENDING: Mapping[str, Rule] = MappingProxyType(
    {
        "ATP0101": {T.REQUESTED: (START,), T.STARTED: (STOP,)},
        "ATP0102": {T.REQUESTED: (START,), T.STARTED: (COMPLETE,)},
        "ATP0103": {T.REQUESTED: (START,), T.STARTED: (SUSPEND,), T.SUSPENDED: (STOP,)},
        "ATP0104": {
            T.REQUESTED: (START,),
            T.STARTED: (SUSPEND, COMPLETE),
            T.SUSPENDED: (START,),
        },
        "ATP0105": {T.REQUESTED: (STOP,)},
        "ATP0201": {T.REQUESTED: (START,)},
        "ATP0202": {T.REQUESTED: (START,)},
        "ATP0203": {T.REQUESTED: (START,)},
        "ATP0204": {T.REQUESTED: (START,)},  # its test is disabled in the kit
        "ATP0205": {},
        "ATP0301": {},
        "ATP0302": {},
        "ATP0303": {T.REQUESTED: (START,)},
        "ATP0304": {T.REQUESTED: (START,)},
        "ATP0305": {T.REQUESTED: (START,)},
        "ATP0306": {T.REQUESTED: (START,)},
    }
)
RECEIVING: Mapping[str, Rule] = MappingProxyType(
    {
        "ATPC0101": {},
        "ATPC0102": {},
        "ATPC0103": {},
        "ATPC0104": {},  # TP_C:01-04, and TP_C:01-05, which the kit gives the same id
        "ATPC0201": {T.STARTED: (STOP,)},
        "ATPC0202": {T.STARTED: (COMPLETE,)},
        "ATPC0203": {T.STARTED: (SUSPEND,), T.SUSPENDED: (STOP,)},
        # its test is disabled in the kit
        "ATPC0204": {T.STARTED: (SUSPEND, COMPLETE), T.SUSPENDED: (START,)},
        "ATPC0205": {T.REQUESTED: (STOP,)},
        "ATPC0301": {},
        "ATPC0302": {},
        "ATPC0303": {},
        "ATPC0304": {},
        "ATPC0305": {},
        "ATPC0306": {},
    }
)
RULES: Mapping[str, Rule] = MappingProxyType({**AS_PROVIDER, **AS_CONSUMER, **SENDING, **RECEIVING})

# What must be there before the kit comes (dsp.md 7.7.7). CAT0103 must not.
DATASETS = (*AS_PROVIDER, "CAT0101", "CAT0102")
AGREEMENTS = tuple(SENDING)


def offer_id(dataset: str) -> str:
    """Return the id of a seeded dataset's offer; CN:01-02 has it written into the kit."""
    return f"CD123:{dataset}:456"


@dataclass(slots=True)
class Entries:
    """Counts how often each process entered each state, and looks up what to say.

    The ids come again on every run, so the count is per process, not per id. `mark` tells one
    entry from the next (the record's version, say): the same mark asked twice is one entry.
    """

    _marks: dict[tuple[str, str], list[object]] = field(default_factory=dict)

    def step(self, rule: str, *, process: str, state: str, mark: object) -> str | None:
        """What to say now, None for silence. `rule` is the dataset's or the agreement's id.

        Raises KeyError where the id is none of the kit's: the harness must not guess.
        """
        row = RULES[rule].get(state, ())
        marks = self._marks.setdefault((process, state), [])
        if mark not in marks:
            marks.append(mark)
        entry = marks.index(mark)
        return row[entry] if entry < len(row) else None


def inputs() -> dict[str, str]:
    """The kit's inputs for each test, `<METHOD>_<FIELD>` (dsp.md 7.3)."""
    found: dict[str, str] = {}
    for dataset in AS_PROVIDER:
        found[f"CN_{_numbers(dataset)}_DATASETID"] = dataset
        found[f"CN_{_numbers(dataset)}_OFFERID"] = offer_id(dataset)
    for dataset in AS_CONSUMER:
        found[f"CN_C_{_numbers(dataset)}_DATASETID"] = dataset
    for agreement in SENDING:
        found[f"TP_{_numbers(agreement)}_AGREEMENTID"] = agreement
        found[f"TP_{_numbers(agreement)}_FORMAT"] = FORMAT
    for agreement in RECEIVING:
        found[f"TP_C_{_numbers(agreement)}_AGREEMENTID"] = agreement
        found[f"TP_C_{_numbers(agreement)}_FORMAT"] = FORMAT
    found["TP_C_01_05_AGREEMENTID"] = "ATPC0104"
    found["TP_C_01_05_FORMAT"] = FORMAT
    for number in (1, 2, 3):
        found[f"CAT_01_0{number}_DATASETID"] = f"CAT010{number}"
    return found


def _numbers(known: str) -> str:
    """ACNC0306 → 03_06."""
    return f"{known[-4:-2]}_{known[-2:]}"
