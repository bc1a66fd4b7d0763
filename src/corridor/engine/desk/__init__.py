# SPDX-License-Identifier: Apache-2.0
"""What a person asks for: the one set of verbs behind management API, command line and console.

`Desk` has them by subject: offers, partners, find, asking, deals, ending, use, receipts, transfers,
evidence, node, tokens. A verb takes the participant (`Home`) and who asks (`Actor`), answers a body
of `wire.home`, and raises the errors of `errors.py`. No page and no route has logic of its own.
"""

from corridor.engine.desk.desk import Desk
from corridor.engine.desk.means import Actor, Means
from corridor.engine.desk.tokens import Account

__all__ = ["Account", "Actor", "Desk", "Means"]
