# SPDX-License-Identifier: Apache-2.0
"""WHEN it may be said: the two state machines of the Dataspace Protocol, without I/O.

- `machine`: `Role`, `Process`, `Heard`, `Machine`, and the theory
- `negotiation`, `transfer`: each with `State`, `Step`, `ARROWS`, `MACHINE`, `step_of`
"""
