# SPDX-License-Identifier: Apache-2.0
"""The words: every message of the Dataspace Protocol, read and written, without I/O."""
