# SPDX-License-Identifier: Apache-2.0
"""WHAT was said and done: Merkle tree, entries, checkpoints and receipts, without I/O.

`tree` hashes and proves, `entry` writes and reads leaves, `note` names and verifies checkpoints,
`keys` says which keys sign a ledger, `receipt` is what a partner is handed and checks offline.
"""
