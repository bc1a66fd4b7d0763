# SPDX-License-Identifier: Apache-2.0
"""WHETHER it may be done: terms, their ODRL, the permit compiled from it, and the judge.

A reader may import: `terms` (the file), `odrl` (the wire), `permit` (compile, draft), `narrower`
(compare), `judge` (judge and all that it is told), `profile` (the table of what may be limited),
`windows` (quotas' calendar), `bounds` (a rule's limits by service), `model` (Policy).
"""
