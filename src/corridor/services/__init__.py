# SPDX-License-Identifier: Apache-2.0
"""What is offered: one folder a service, one interface for all."""
