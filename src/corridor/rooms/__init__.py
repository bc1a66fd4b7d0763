# SPDX-License-Identifier: Apache-2.0
"""Where heavy or hostile work runs: a zygote, workers, their limits and sandbox."""
