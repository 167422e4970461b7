"""An equilibrium that kills the first process that settles a certain row."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mortal:
    """Another equilibrium; whoever is first to settle a row with ``fatal`` dies of it.

    Attributes:
        equilibrium: What settles.
        fatal: The coefficient that kills.
        marker: A file that exists once somebody has died.
    """

    equilibrium: Any
    fatal: float
    marker: str

    follow = True

    def __call__(self, operators, coefficients, **how):
        if self.fatal in coefficients and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.equilibrium(operators, coefficients, **how)
