"""Measurements that need a process of their own.

    python -m benchmarks.alone FUNCTION [INTEGER ...]

prints a line of JSON: seconds, and the peak of resident memory in bytes, imports
included.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the function that is named."""
    name, *numbers = sys.argv[1:]
    seconds = CALLS[name](*map(int, numbers))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """Return the largest resident memory so far.

    On Linux, ru_maxrss of a fresh process is at least its parent's, whose memory it
    held for a moment; /proc knows better.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        return 1024 * int(peak)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def import_qiskit() -> float:
    """Import Qiskit."""
    begun = time.perf_counter()
    import qiskit  # noqa: F401

    return time.perf_counter() - begun


def import_qiskit_qep() -> float:
    """Import what a training needs, and Qiskit with it: other names come when used."""
    begun = time.perf_counter()
    from qiskit_qep import datasets, models, predict, train  # noqa: F401

    return time.perf_counter() - begun


def ground_state(num_spins: int) -> float:
    """Settle a network by the public call."""
    import qiskit_qep as qep

    from .problems import Network

    network = Network.random(num_spins, 0)
    rows = network.model.coefficients(network.theta, network.x)
    begun = time.perf_counter()
    qep.Exact()(network.model.operators, rows)
    return time.perf_counter() - begun


def sparse_ground_state(num_spins: int) -> float:
    """Settle it by Qiskit's sparse matrix and SciPy's eigsh, to the same residual."""
    from .peers import lowest
    from .problems import Network

    network = Network.random(num_spins, 0)
    begun = time.perf_counter()
    operator = network.model.hamiltonian(network.theta, network.x[0])
    matrix = operator.to_matrix(sparse=True)
    lowest(matrix, -1.5 * num_spins, 10)  # about the energy: the scale of the tolerance
    return time.perf_counter() - begun


def gradient(num_spins: int) -> float:
    """Take a centred gradient."""
    import qiskit_qep as qep

    from .problems import BETA, Network

    n = Network.random(num_spins, 0)
    begun = time.perf_counter()
    qep.gradient(n.model, n.theta, n.x, n.y, nudge=qep.Nudge.centered(BETA))
    return time.perf_counter() - begun


def sensor_training(batches: int) -> float:
    """Train the published sensor: batches of ten, ten shots, centred nudge of 0.4."""
    import qiskit_qep as qep

    from .problems import Sensor

    data = Sensor.random(0, 10 * (batches + 1))
    run = qep.steps(
        data.model,
        data.x,
        data.y,
        theta=data.theta,
        batch_size=10,
        optimizer=qep.adam(0.01),
        equilibrium=qep.Sampled(10),
        nudge=qep.Nudge.centered(0.4),
        seed=0,
    )
    next(run)  # compiles
    begun = time.perf_counter()
    for state in run:
        if state.step == batches:
            break
    return time.perf_counter() - begun


CALLS = {
    call.__name__: call
    for call in (
        import_qiskit,
        import_qiskit_qep,
        ground_state,
        sparse_ground_state,
        gradient,
        sensor_training,
    )
}

if __name__ == "__main__":
    main()
