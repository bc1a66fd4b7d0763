# SPDX-License-Identifier: Apache-2.0
"""The real world: clock, chance, net, disk, keys. Only `app` imports it."""
