"""How a runtime's sampler submits: its tags, a time limit, and without a session."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from .costs import device_of
from .seeds import innermost
from .transpiled import Transpiled

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def submitting(sampler: Any, tag: str, seconds: float | None = None) -> Iterator[bool]:
    """Give the jobs of a runtime sampler one more tag, and the service a time limit.

    Args:
        sampler: Any; those without such options are left as they are.
        tag: By which the service will find the job.
        seconds: QPU seconds after which the service stops the job by itself, unless
            the user's own limit is lower.

    Yields:
        Whether the job will be tagged.
    """
    options = getattr(innermost(sampler), "options", None)
    environment: Any = getattr(options, "environment", None)
    if not hasattr(environment, "job_tags"):
        yield False
        return
    tags, limit = environment.job_tags, getattr(options, "max_execution_time", None)
    own = list(tags) if isinstance(tags, list | tuple) else []  # or "Unset"
    limited = seconds is not None and hasattr(options, "max_execution_time")
    environment.job_tags = [*own, tag]
    if limited and seconds is not None and options is not None:
        limits = [ceil(seconds), *([limit] if isinstance(limit, int) else [])]
        options.max_execution_time = max(1, min(limits))
    try:
        yield True
    finally:
        environment.job_tags = tags
        if limited and options is not None:
            options.max_execution_time = limit


def in_job_mode(sampler: Any) -> Any:
    """Return the same sampler without its session or batch, or None if it has none."""
    if isinstance(sampler, Transpiled):
        alone = in_job_mode(sampler.sampler)
        return None if alone is None else replace(sampler, sampler=alone)
    if getattr(sampler, "mode", None) is None:
        return None
    return type(sampler)(mode=device_of(sampler), options=sampler.options)
