# SPDX-License-Identifier: Apache-2.0
"""The desk: all verbs in one place, put together from their parts."""

from __future__ import annotations

from corridor.engine.desk import uploads
from corridor.engine.desk.asking import Asking
from corridor.engine.desk.connection import Connection
from corridor.engine.desk.deals import Deals
from corridor.engine.desk.ending import Ending
from corridor.engine.desk.evidence import Evidence
from corridor.engine.desk.find import Find
from corridor.engine.desk.means import Means
from corridor.engine.desk.node import NodeDesk
from corridor.engine.desk.offers import Offers
from corridor.engine.desk.partners import Partners
from corridor.engine.desk.receipts import Receipts
from corridor.engine.desk.story import Story
from corridor.engine.desk.tokens import Tokens, operator_digest
from corridor.engine.desk.transfers import Flows
from corridor.engine.desk.use import Use


class Desk:
    """What a person can ask this node for; each attribute has the verbs of one subject."""

    def __init__(self, means: Means) -> None:
        self.means = means
        story = Story(means)
        connection = Connection(means)
        self.offers = Offers(means)
        self.partners = Partners(means, connection)
        self.find = Find(means, self.partners, connection)
        self.deals = Deals(means, story)
        self.asking = Asking(means, self.partners, self.find, self.deals, story)
        self.ending = Ending(means, self.deals, story)
        self.use = Use(means, self.deals)
        self.receipts = Receipts(means, self.deals, story)
        self.transfers = Flows(means, self.deals, story)
        self.evidence = Evidence(means, self.deals, story)
        self.node = NodeDesk(means)
        self.tokens = Tokens(means)

    def start(self) -> None:
        """Read the operator's token, or make it where there is none; nobody enters before."""
        uploads.sweep(self.means.ground)
        world = self.means.ground.world
        self.tokens.operator = operator_digest(world.disk, world.chance)
