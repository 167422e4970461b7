"""Time this package and its peers side by side: ``python -m benchmarks --help``.

Tables of ratios go to the screen, everything to ``--out``: results.json, tables.md and
plots.
"""

import os


def main() -> None:
    """Limit every library to one thread, which it reads when loaded, and measure."""
    from ._threads import one_thread

    os.environ |= one_thread()
    from .command import main as measure

    measure()


if __name__ == "__main__":  # the processes of a pool import this file too
    main()
