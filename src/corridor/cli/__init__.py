# SPDX-License-Identifier: Apache-2.0
"""What an operator types: `main` is the entry point, `app` the tree of commands.

One file a command group; each is loaded when its command is typed, so that `--help` is quick.
"""

from corridor.cli.root import app, main

__all__ = ["app", "main"]
