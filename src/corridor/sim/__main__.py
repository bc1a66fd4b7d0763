# SPDX-License-Identifier: Apache-2.0
"""`python -m corridor.sim`."""

import sys

from corridor.sim.main import main

sys.exit(main())
