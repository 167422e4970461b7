"""Fresh shot noise for every job: seeds from the rows' streams, fixed ones refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseSamplerV2, StatevectorSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Where samplers keep a seed: Qiskit's and Aer's own, a backend sampler's option, the
# runtime's simulator option, the option of a simulator inside.
PLACES = (
    ("seed",),
    ("options", "seed_simulator"),
    ("options", "simulator", "seed_simulator"),
    ("_backend", "options", "seed_simulator"),
    ("backend", "options", "seed_simulator"),
)


def job_seed(rng: Sequence[np.random.Generator]) -> int:
    """Draw the seed of one job of all rows, below 2^31."""
    words = [int(generator.integers(1 << 63)) for generator in rng]
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def seeded(sampler: Callable[[int], BaseSamplerV2], seed: int) -> BaseSamplerV2:
    """Return the sampler of a seed.

    Raises:
        ValueError: If it would draw the same shots for every row of a PUB.
    """
    made = sampler(seed)
    if isinstance(innermost(made), StatevectorSampler):
        refuse_fixed_seed(made)
    return made


def refuse_fixed_seed(sampler: Any) -> None:
    """Refuse a sampler that would repeat its noise.

    Free and nudged phases of one noise look far more precise than they are: 0.103
    for a standard deviation of 0.167 in one case.

    Raises:
        ValueError: If the sampler, or one that it wraps, carries a fixed seed.
    """
    inner = innermost(sampler)
    for place in PLACES:
        found = inner
        for name in place:
            found = getattr(found, name, None)
        if isinstance(found, int | np.integer):  # not None, a Generator, or "Unset"
            if isinstance(inner, StatevectorSampler):
                how = "StatevectorSampler(seed=np.random.default_rng(seed))"
            else:
                how = f"{type(inner).__name__}(seed=seed)"
            raise ValueError(
                f"{type(inner).__name__} has the fixed seed {found!r}, so that "
                "every job, or every row, would repeat the same shot noise; leave "
                f"the seed out or pass a function of it: lambda seed: {how}"
            )


def check_sampler(sampler: Any) -> None:
    """Refuse what is no sampler and no function of a seed, or repeats its noise.

    Raises:
        TypeError: If it is neither.
        ValueError: If it carries a fixed seed.
    """
    if isinstance(sampler, BaseSamplerV2):
        refuse_fixed_seed(sampler)
    elif not callable(sampler):
        raise TypeError(
            "sampler should be a BaseSamplerV2 or a function from a seed to one, "
            f"got {sampler!r}"
        )


def layers(sampler: Any) -> Iterator[Any]:
    """Yield a sampler, the one that it wraps, and so on."""
    yield sampler
    while hasattr(sampler, "sampler"):
        sampler = sampler.sampler
        yield sampler


def innermost(sampler: Any) -> Any:
    """Return the sampler that draws the shots, below all that wrap it.

    A wrapper's own seed, such as that of ``Transpiled``, is not of the shots.
    """
    *_, inner = layers(sampler)
    return inner
