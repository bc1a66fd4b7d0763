# SPDX-License-Identifier: Apache-2.0
"""The SDK: a synchronous and an asynchronous client from one flow."""
