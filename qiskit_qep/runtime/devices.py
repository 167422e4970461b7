"""The part of a device that a network fits on: chosen by its errors, and cut out."""

from __future__ import annotations

from functools import cached_property
from inspect import isclass
from itertools import combinations
from math import inf, log1p, pi
from typing import TYPE_CHECKING, Any, Literal

from qiskit.providers import BackendV2, Options
from qiskit.transpiler import QubitProperties, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qiskit.providers import JobV1

WIDTH = 1000  # candidates kept, of every size


def best_qubits(
    backend: BackendV2,
    num_qubits: int,
    *,
    shape: Literal["any", "chain"] = "any",
    rounds: int = 10,
) -> tuple[int, ...]:
    r"""Find the connected qubits of a device with the lowest errors.

    .. math:: \max \; \prod_q (1 - e_q) \prod_{(j,k)} (1 - e_{jk})^{\mathrm{rounds}}

    the chance that a circuit which uses every coupling so often, and reads every qubit,
    makes no error. A network on these couplings needs no SWAP::

        qubits = qep.best_qubits(backend, 6)
        edges = backend.coupling_map.reduce(qubits)
        model = qep.models.transverse_field_ising(6, edges=edges, readout=[5])
        device = qep.Transpiled(sampler, backend, qubits=qubits)

    An error that the device does not report counts as its worst; an error of 1 marks
    what is broken: every coupling among the qubits works. The search keeps the best
    1000 candidates of every size, which is all of them for up to 6 qubits of a
    heavy-hex device; larger networks are good, but perhaps not the best.

    Args:
        backend: Any ``BackendV2``; its target has the errors.
        num_qubits: How many.
        shape: "chain" for a line, in its order; "any" for any connected graph, where
            every coupling inside counts.
        rounds: How often a coupling is used for one readout: twice the steps of a ramp
            on a device with CZ gates.

    Returns:
        Numbers of the qubits; qubit q of the network is number q of these.

    Raises:
        ValueError: If there are not so many connected qubits that work.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit.providers.fake_provider import GenericBackendV2
        >>> ring = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]
        >>> backend = GenericBackendV2(5, coupling_map=ring, seed=1)
        >>> len(qep.best_qubits(backend, 3, shape="chain"))
        3
    """
    if shape not in ("any", "chain"):
        raise ValueError(f"shape should be 'any' or 'chain', got {shape!r}")
    if num_qubits < 1:
        raise ValueError(f"num_qubits should be at least 1, got {num_qubits}")
    costs, gates = _costs(backend.target, backend.num_qubits)
    readout = {q: cost for q, cost in costs.items() if cost < inf}
    neighbours: dict[int, dict[int, float]] = {q: {} for q in readout}
    for (a, b), cost in gates.items():
        if a in readout and b in readout:
            neighbours[a][b] = neighbours[b][a] = rounds * cost
    found: dict[tuple[int, ...], float] = {(q,): cost for q, cost in readout.items()}
    for size in range(1, num_qubits):
        grown: dict[tuple[int, ...], float] = {}
        for chosen, cost in found.items():
            for new in {n for q in _ends(chosen, shape) for n in neighbours[q]}:
                if new not in chosen:
                    more = (*chosen, new) if shape == "chain" else _sorted(chosen, new)
                    bonds = (neighbours[new].get(q, 0.0) for q in _ends(chosen, shape))
                    grown[more] = cost + readout[new] + sum(bonds)
        grown = {chosen: cost for chosen, cost in grown.items() if cost < inf}
        if not grown:
            raise ValueError(
                f"{backend.name} has no {num_qubits} connected qubits that work"
                f"{' in a chain' * (shape == 'chain')}, only {size}; ask for fewer"
            )
        order = sorted(grown, key=lambda chosen: (grown[chosen], chosen))
        found = {chosen: grown[chosen] for chosen in order[:WIDTH]}
    best = min(found, key=lambda chosen: (found[chosen], chosen))
    return min(best, best[::-1])  # a chain has two ends to begin with


def _ends(chosen: tuple[int, ...], shape: str) -> tuple[int, ...]:
    return chosen[-1:] if shape == "chain" else chosen


def _sorted(chosen: tuple[int, ...], new: int) -> tuple[int, ...]:
    return tuple(sorted((*chosen, new)))


def _costs(
    target: Target, num_qubits: int
) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """Return -log(1 - error) of readout by qubit, and of the best gate by pair."""
    readout: dict[int, list[float]] = {}
    gates: dict[tuple[int, int], list[float]] = {}
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isclass(operation):  # control flow
            continue
        if name == "measure":
            for where, cost in _reported(target, name, num_qubits, 1):
                readout.setdefault(where[0], []).append(cost)
        elif operation.num_qubits == 2:
            for (a, b), cost in _reported(target, name, num_qubits, 2):
                gates.setdefault((min(a, b), max(a, b)), []).append(cost)
    return _best(readout), _best(gates)


def _reported(
    target: Target, name: str, num_qubits: int, size: int
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield where an instruction is, and its cost: inf if broken, nan if unknown."""
    for where, properties in target[name].items():
        error = getattr(properties, "error", None)
        cost = float("nan")
        if error is not None and error == error:
            cost = -log1p(-error) if error < 1.0 else inf
        everywhere = combinations(range(num_qubits), size)
        for qubits in everywhere if where is None else [where]:
            yield tuple(qubits), cost


def _best(costs: dict[Any, list[float]]) -> dict[Any, float]:
    """Return the lowest known cost of each; unknown is the worst of what works."""
    known = {
        place: min((c for c in options if c == c), default=None)
        for place, options in costs.items()
    }
    worst = max((c for c in known.values() if c is not None and c < inf), default=0.0)
    return {place: worst if c is None else c for place, c in known.items()}


def cut_backend(backend: BackendV2, qubits: Sequence[int]) -> BackendV2:
    """Return some qubits of a backend as a noisy simulator of their own.

    It has the instructions, errors and durations of the device, and simulates only what
    is used: 25 times faster than all of a fake backend with 133 qubits. It serves
    ``BackendSamplerV2(backend=...)``, Aer's ``SamplerV2.from_backend`` and the local
    mode of the runtime, ``executor_sampler.SamplerV2(mode=...)``.

    Args:
        backend: Fake or real; its calibration is taken as it is now.
        qubits: At least two of its qubits, in the order of their new numbers.

    Raises:
        ValueError: If there are fewer, or the backend does not have them.

    Example:
        >>> import qiskit_qep as qep
        >>> from qiskit.providers.fake_provider import GenericBackendV2
        >>> backend = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]])
        >>> sorted(qep.cut_backend(backend, [3, 2, 4]).coupling_map.get_edges())
        [(0, 2), (1, 0)]
    """
    chosen = tuple(map(int, qubits))
    outside = [q for q in chosen if not 0 <= q < backend.num_qubits]
    if len(chosen) < 2 or len(set(chosen)) < len(chosen) or outside:
        raise ValueError(
            f"qubits should be at least two different numbers from 0 to "
            f"{backend.num_qubits - 1}, the qubits of {backend.name}, got {chosen}"
        )
    return _Cut(f"{backend.name}{list(chosen)}", cut_target(backend.target, chosen))


def cut_target(target: Target, qubits: Sequence[int]) -> Target:
    """Return what a target says of some qubits, relabelled in their order."""
    new = {q: k for k, q in enumerate(qubits)}
    known = target.qubit_properties or [QubitProperties()] * (max(qubits) + 1)
    cut = Target(
        num_qubits=len(qubits),
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=[known[q] for q in qubits],
    )
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isclass(operation):
            cut.add_instruction(operation, name=name)
            continue
        properties = {
            None if where is None else tuple(new[q] for q in where): known_of
            for where, known_of in target[name].items()
            if where is None or set(where) <= set(qubits)
        }
        if properties:
            bounds = _bounds(target, name)
            cut.add_instruction(operation, properties, name=name, angle_bounds=bounds)
    return cut


def _bounds(target: Target, name: str) -> list[tuple[float, float]] | None:
    """Return the bounds of a gate's angle: a target tells, but only when asked."""
    if not target.gate_has_angle_bounds(name):
        return None
    low, high = 0.0, 0.5 * pi
    inside = [target.supported_angle_bound(name, [a]) for a in (low, high)]
    beyond = [
        target.supported_angle_bound(name, [a]) for a in (low - 1e-9, high + 1e-9)
    ]
    if not all(inside) or any(beyond):
        raise ValueError(
            f"the bounds of {name} should be 0 and pi / 2, as of IBM's fractional "
            "gates; others cannot be read from a Target"
        )
    return [(low, high)]


class _Cut(BackendV2):
    """A target with a simulator of its errors."""

    def __init__(self, name: str, target: Target) -> None:
        super().__init__(name=name, description="a noisy simulator of a few qubits")
        self._target = target

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024)

    @cached_property
    def _simulator(self) -> Any:
        """The simulator, its noise model built once."""
        from qiskit_aer import AerSimulator

        return AerSimulator.from_backend(self)

    def run(self, run_input: Iterable[Any], **options: Any) -> JobV1:
        return self._simulator.run(run_input, **options)
