"""Lets agents' processes import what the tests hand to them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from paceline.agents.engines.local import Local  # it needs nothing from here

Local.warm_up(steps=True)  # once for all tests: the first optimizer takes seconds to import
