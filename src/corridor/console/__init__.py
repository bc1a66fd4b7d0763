# SPDX-License-Identifier: Apache-2.0
"""What a person sees. Nothing is here yet: the node serves no pages."""
