"""Do published experiments again: ``python -m benchmarks.reproductions --help``."""

import os


def main() -> None:
    """Run the named reproductions, or all of them at their short size."""
    from .._threads import one_thread

    os.environ |= one_thread()
    from .command import main as reproduce

    reproduce()


if __name__ == "__main__":
    main()
