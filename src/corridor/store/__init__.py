# SPDX-License-Identifier: Apache-2.0
"""What is remembered: tables, statements, and the writer that runs a unit whole or not at all."""
