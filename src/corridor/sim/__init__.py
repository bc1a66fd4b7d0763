# SPDX-License-Identifier: Apache-2.0
"""A second world from one seed: clock, chance, network, disk, and the checkers."""
