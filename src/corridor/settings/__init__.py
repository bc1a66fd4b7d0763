# SPDX-License-Identifier: Apache-2.0
"""WHAT can be set: kinds of values, and the table of sections. Who reads them is `config.py`.

experience.md 3.4. A row names its kind and default, so the file that `init` writes, the reader and
the reference page come out of one table.
"""

from corridor.settings.sections import (
    ALIASES,
    LATER,
    PARTICIPANT,
    REQUIRED,
    SECTIONS,
    Config,
    Participant,
    Setting,
)

__all__ = [
    "ALIASES",
    "LATER",
    "PARTICIPANT",
    "REQUIRED",
    "SECTIONS",
    "Config",
    "Participant",
    "Setting",
]
