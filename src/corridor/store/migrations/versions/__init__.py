# SPDX-License-Identifier: Apache-2.0
"""The revisions. A released one is never edited."""
