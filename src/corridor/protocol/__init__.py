# SPDX-License-Identifier: Apache-2.0
"""WHEN it may be said: the two state machines of the Dataspace Protocol, without I/O."""
