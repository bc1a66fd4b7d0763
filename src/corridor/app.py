# SPDX-License-Identifier: Apache-2.0
"""How it is put together: the only module that names concrete classes."""
