# SPDX-License-Identifier: Apache-2.0
"""How peers and people's programs reach the node: routes, and who may call each."""
