# SPDX-License-Identifier: Apache-2.0
"""The spellings of a word: plain as in the schemas, with a prefix, or as a whole IRI.

From the JSON-LD contexts of DSP 2025-1 (`dsp.md` 2.4): a peer that compacts with other contexts
writes `dspace:providerPid` or the whole IRI. Only known words of the right vocabulary are taken;
anything else stays what it is, an unknown name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

EDC = "https://w3id.org/edc/v0.0.1/ns/"
PROFILE = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71"
DETAIL = f"{PROFILE}#detail"

_VOCABULARIES: tuple[tuple[str, str, str], ...] = (
    (
        "dspace:",
        "https://w3id.org/dspace/2025/1/",
        """providerPid consumerPid callbackAddress offer agreement timestamp eventType state code
        reason agreementId dataAddress endpoint endpointType endpointProperties name value filter
        participantId dataset
        CatalogRequestMessage DatasetRequestMessage CatalogError ContractRequestMessage
        ContractOfferMessage ContractAgreementMessage ContractAgreementVerificationMessage
        ContractNegotiationEventMessage ContractNegotiationTerminationMessage ContractNegotiation
        ContractNegotiationError TransferRequestMessage TransferStartMessage
        TransferSuspensionMessage TransferCompletionMessage TransferTerminationMessage
        TransferProcess TransferError DataAddress EndpointProperty
        REQUESTED OFFERED ACCEPTED AGREED VERIFIED FINALIZED TERMINATED STARTED SUSPENDED
        COMPLETED""",
    ),
    (
        "dcat:",
        "http://www.w3.org/ns/dcat#",
        """Catalog Dataset Distribution DataService service catalog dataset distribution
        accessService endpointURL endpointDescription servesDataset""",
    ),
    (
        "odrl:",
        "http://www.w3.org/ns/odrl/2/",
        """Offer Agreement hasPolicy permission prohibition obligation profile target assigner
        assignee action""",
    ),
    ("dct:", "http://purl.org/dc/terms/", "format"),
)


def _spellings() -> Iterable[tuple[str, str]]:
    for prefix, iri, words in _VOCABULARIES:
        for word in words.split():
            yield prefix + word, word
            yield iri + word, word
    for word in ("title", "description"):  # never plain: EDC's `description` is another word
        yield f"http://purl.org/dc/terms/{word}", f"dct:{word}"


PLAIN: Mapping[str, str] = dict(_spellings())


def last_segment(name: str) -> str:
    """Cut the vocabulary off: what follows the last `/`, `#` or `:`.

    EDC names properties and operands by IRIs of its own (`dsp.md` 8.4, 8.5).
    """
    return name.replace("#", "/").replace(":", "/").rpartition("/")[2]
