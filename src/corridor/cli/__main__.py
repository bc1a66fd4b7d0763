# SPDX-License-Identifier: Apache-2.0
"""`python -m corridor.cli`: the same as the program `corridor`."""

from corridor.cli.root import main

main()
