# SPDX-License-Identifier: Apache-2.0
"""How a database of an older version becomes one of this version. One file a revision, in order."""
