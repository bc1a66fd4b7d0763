# SPDX-License-Identifier: Apache-2.0
"""WHO says it: DIDs, keys and self-issued tokens, without I/O."""
