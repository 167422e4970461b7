"""The command: which experiments, how many seeds, how long."""

from __future__ import annotations

import argparse

from . import (
    cluster_sensor,
    ising_machine,
    kitaev_sensor,
    order_parameter,
    phase_exploration,
    spirals,
)

REPRODUCTIONS = {
    "cluster_sensor": cluster_sensor,
    "kitaev_sensor": kitaev_sensor,
    "phase_exploration": phase_exploration,
    "order_parameter": order_parameter,
    "spirals": spirals,
    "ising_machine": ising_machine,
}


def main(arguments: list[str] | None = None) -> None:
    """Run what is named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reproductions",
        description="Do published experiments again, and print both figures.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=", ".join(REPRODUCTIONS)
    )
    parser.add_argument("--seeds", type=int, help="0 to this, exclusive")
    parser.add_argument("--all", action="store_true", help="as long as published")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in REPRODUCTIONS:
            parser.error(f"{name!r} is none of {', '.join(REPRODUCTIONS)}")
    for name in given.names or REPRODUCTIONS:
        REPRODUCTIONS[name].run(given.seeds, full=given.all)
