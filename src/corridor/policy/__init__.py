# SPDX-License-Identifier: Apache-2.0
"""WHETHER it may be done: terms, their ODRL, the permit compiled from it, and the judge."""
