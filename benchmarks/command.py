"""Run cases, print their tables, write JSON and plots."""

from __future__ import annotations

import argparse
import fnmatch
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from . import plots, report
from ._cases import Case, Outcome
from ._measure import machine
from ._targets import CASES

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    wanted = parse(arguments)
    cases = chosen(wanted)
    if wanted.list:
        print("\n".join(f"{case.name:<16} {case.title}" for case in CASES))
        return
    wanted.out.mkdir(parents=True, exist_ok=True)
    before = machine()
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers; errors stand in the tables
        for case in cases:
            outcomes.append(run(case, 2 if wanted.quick else wanted.seeds))
            report.write(wanted.out, outcomes, before)
    print("\n" + report.targets_table(outcomes))
    print("\n" + report.entrants_table(outcomes))
    print("\n" + report.conditions(before))
    for path in plots.draw(outcomes, wanted.out):
        print(path)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time this package and its peers."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small cases, two seeds")
    add("--large", action="store_true", help="also 24 spins, which takes minutes")
    add("--only", metavar="NAME", help="cases with this name; * and ? match any")
    add("--seeds", type=int, default=5, help="instances per case, by default 5")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    add("--list", action="store_true", help="print the names of all cases")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds should be at least 1, got {options.seeds}")
    if not chosen(options):
        parser.error(f"no case is called {options.only!r}; see --list")
    return options


def chosen(options: argparse.Namespace) -> list[Case]:
    """Return the cases that were asked for; a name is enough."""
    if options.only:
        return [case for case in CASES if fnmatch.fnmatch(case.name, options.only)]
    scopes = {"quick"} if options.quick else {"quick", "full"}
    scopes |= {"large"} if options.large else set()
    return [case for case in CASES if case.scope in scopes]


def run(case: Case, seeds: int) -> Outcome:
    """Measure a case and say so."""
    begun = time.perf_counter()
    print(f"{case.name:<16}", end="", flush=True)
    outcome = Outcome(case, [case.run(k) for k in range(min(seeds, case.seeds))])
    found = " ".join(f"{value:.3g}" for value in outcome.measured)
    seconds = time.perf_counter() - begun
    print(f"{found}   {outcome.verdict}   [{seconds:.0f} s]", flush=True)
    return outcome
