# SPDX-License-Identifier: Apache-2.0
"""WHAT was said and done: Merkle tree, entries, checkpoints and receipts, without I/O."""
