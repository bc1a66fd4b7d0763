# SPDX-License-Identifier: Apache-2.0
"""Institutions work on each other's data under an agreement both have signed.

Run `corridor demo` to see it. From Python: `corridor.connect()` (the SDK is loaded at first use,
so that the node, which is the same package, stays light).
"""
