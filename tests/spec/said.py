# SPDX-License-Identifier: Apache-2.0
"""One of each message that we write, in each of its forms."""

from __future__ import annotations

from typing import Any

from corridor.wire import catalog, negotiation, transfer, version
from corridor.wire.codec import Message

C, P, T = "urn:uuid:c-1", "urn:uuid:p-1", "did:web:p.example:asset"
CALLBACK = "https://c.example/dsp/2025-1"
RULES: dict[str, Any] = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {
                    "or": [
                        {"leftOperand": "spatial", "operator": "eq", "rightOperand": "eu"},
                        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["x"]},
                    ]
                }
            ],
        }
    ],
    "prohibition": [{"action": "distribute"}],
    "obligation": [{"action": "attribute"}],
    "profile": "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71",
}
CATALOG_OFFER = {"@id": "urn:uuid:o-1", "@type": "Offer", **RULES}
OFFER = {**CATALOG_OFFER, "target": T, "assigner": "did:web:p.example"}
AGREEMENT = {
    "@id": "urn:uuid:a-1",
    "@type": "Agreement",
    "target": T,
    "assigner": "did:web:p.example",
    "assignee": "did:web:c.example",
    "timestamp": "2026-03-01T09:30:00Z",
    **RULES,
}
SERVICE = catalog.DataService(id_="urn:uuid:s-1", endpoint_url="https://p.example/dsp/2025-1")
ADDRESS = transfer.DataAddress.build(
    transfer.HTTP_ENDPOINT,
    "https://p.example/data/1/",
    {"authorization": "t", "authType": "bearer"},
)
BARE_ADDRESS = transfer.DataAddress(endpoint_type="AmazonS3")
BOTH: dict[str, Any] = {"provider_pid": P, "consumer_pid": C}
WHY: dict[str, Any] = {"code": "refused", "reason": ("reference 1", "ask again")}

DATASET = catalog.Dataset(
    id_=T,
    has_policy=(CATALOG_OFFER,),
    distribution=(catalog.Distribution(format="HttpData-PULL", access_service=SERVICE),),
    title=catalog.texts({"en": "Grid load", "de": "Netzlast"}),
    detail='{"columns":["a"]}',
)
NESTED = catalog.Catalog(
    id_="urn:uuid:sub",
    service=(SERVICE,),
    distribution=(catalog.Distribution(format="Catalog", access_service="urn:uuid:s-1"),),
)

MESSAGES: dict[str, Message] = {
    "request, first": negotiation.ContractRequestMessage(
        id_="urn:uuid:m-1", consumer_pid=C, offer=OFFER, callback_address=CALLBACK
    ),
    "request, counter": negotiation.ContractRequestMessage(
        consumer_pid=C, provider_pid=P, offer=OFFER
    ),
    "offer, first": negotiation.ContractOfferMessage(
        provider_pid=P, offer=OFFER, callback_address=CALLBACK
    ),
    "offer, counter": negotiation.ContractOfferMessage(
        provider_pid=P, consumer_pid=C, offer=OFFER
    ),
    "agreement": negotiation.ContractAgreementMessage(**BOTH, agreement=AGREEMENT),
    "verification": negotiation.ContractAgreementVerificationMessage(**BOTH),
    "accepted": negotiation.ContractNegotiationEventMessage(**BOTH, event_type="ACCEPTED"),
    "finalized": negotiation.ContractNegotiationEventMessage(**BOTH, event_type="FINALIZED"),
    "negotiation end": negotiation.ContractNegotiationTerminationMessage(**BOTH),
    "negotiation end, why": negotiation.ContractNegotiationTerminationMessage(**BOTH, **WHY),
    **{
        f"negotiation {state}": negotiation.ContractNegotiation(**BOTH, state=state)
        for state in (
            "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED",
        )
    },
    "negotiation error": negotiation.ContractNegotiationError(**BOTH, **WHY),
    "negotiation error, bare": negotiation.ContractNegotiationError(provider_pid="", consumer_pid=C),
    "transfer request, pull": transfer.TransferRequestMessage(
        consumer_pid=C, agreement_id="urn:uuid:a-1", format="HttpData-PULL", callback_address=CALLBACK
    ),
    "transfer request, push": transfer.TransferRequestMessage(
        consumer_pid=C, agreement_id="urn:uuid:a-1", format="HttpData-PUSH",
        callback_address=CALLBACK, data_address=ADDRESS,
    ),
    "start": transfer.TransferStartMessage(**BOTH, data_address=ADDRESS),
    "start, bare address": transfer.TransferStartMessage(**BOTH, data_address=BARE_ADDRESS),
    "resume": transfer.TransferStartMessage(**BOTH),
    "suspension": transfer.TransferSuspensionMessage(**BOTH),
    "suspension, why": transfer.TransferSuspensionMessage(**BOTH, **WHY),
    "completion": transfer.TransferCompletionMessage(**BOTH),
    "transfer end": transfer.TransferTerminationMessage(**BOTH),
    "transfer end, why": transfer.TransferTerminationMessage(**BOTH, **WHY),
    **{
        f"transfer {state}": transfer.TransferProcess(**BOTH, state=state)
        for state in ("REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED")
    },
    "transfer error": transfer.TransferError(**BOTH, **WHY),
    "transfer error, bare": transfer.TransferError(**BOTH),
    "catalog request": catalog.CatalogRequestMessage(),
    "catalog request, all": catalog.CatalogRequestMessage(filter=[]),
    "dataset request": catalog.DatasetRequestMessage(dataset=T),
    "catalog error": catalog.CatalogError(code="not-found", reason=("no such dataset",)),
    "catalog error, bare": catalog.CatalogError(),
    "dataset": DATASET,
    "catalog": catalog.Catalog(
        id_="urn:uuid:cat", participant_id="did:web:p.example", service=(SERVICE,),
        dataset=(DATASET,), catalog=(NESTED,),
    ),
}  # fmt: skip

VERSIONS = version.VersionDocument(
    protocol_versions=(
        version.Version(
            version="2025-1",
            path="/dsp/2025-1",
            binding="HTTPS",
            service_id="s-1",
            identifier_type="did:web",
            auth=version.Auth(protocol="DCP", version="1.0", profile=("vc11-sl2021/jwt",)),
        ),
        version.Version(version="2025-1", path="/other", binding="HTTPS"),
    )
)

KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for module in (catalog, negotiation, transfer)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}
del KINDS["RootCatalog"]
KINDS["Catalog"] = catalog.RootCatalog
