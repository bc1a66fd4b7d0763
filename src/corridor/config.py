# SPDX-License-Identifier: Apache-2.0
"""The only reader of environment and TOML."""
