# SPDX-License-Identifier: Apache-2.0
"""WHAT an answer gives away. Empty: actions that need it cannot be offered."""
