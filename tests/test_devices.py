"""best_qubits finds what enumeration finds; a cut backend behaves like the device."""

import math
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import rustworkx as rx
from qiskit import QuantumCircuit
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZZGate, SXGate
from qiskit.primitives import BackendSamplerV2, StatevectorSampler
from qiskit.transpiler import CouplingMap, InstructionProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime import SamplerV2 as PredecessorSamplerV2
from qiskit_ibm_runtime import executor_sampler
from qiskit_ibm_runtime.fake_provider import FakeFractionalBackend, FakeTorino

import qiskit_qep as qep
from qiskit_qep.runtime import devices

HEXAGONS = [(k, (k + 1) % 12) for k in range(12)] + [(0, 12), (12, 13), (6, 13)]


def error(value):
    return None if value == "none" else InstructionProperties(error=value)


class Device:
    """No more of a backend than its name and its errors."""

    def __init__(self, readout, gates, gate=CZGate):
        self.name, self.num_qubits = "toy", len(readout)
        self.target = Target(num_qubits=len(readout))
        measured = {(q,): error(e) for q, e in enumerate(readout)}
        self.target.add_instruction(Measure(), measured)
        pairs = {pair: error(e) for pair, e in gates.items()}
        self.target.add_instruction(gate(), pairs)


def chance(readout, gates, qubits, bonds, rounds=10):
    good = math.prod(1 - readout[q] for q in qubits)
    return good * math.prod((1 - gates[bond]) ** rounds for bond in bonds)


def enumerated(readout, gates, size, shape):
    """The best chance of all connected sets, or of all chains."""
    found = []
    if shape == "chain":
        for path in permutations(range(len(readout)), size):
            bonds = [tuple(sorted(bond)) for bond in pairwise(path)]
            if all(bond in gates for bond in bonds):
                found.append(chance(readout, gates, path, bonds))
        return max(found)
    graph = rx.PyGraph()
    graph.add_nodes_from(range(len(readout)))
    graph.add_edges_from_no_data(list(gates))
    for qubits in combinations(range(len(readout)), size):
        if rx.is_connected(graph.subgraph(list(qubits))):
            bonds = [bond for bond in gates if set(bond) <= set(qubits)]
            found.append(chance(readout, gates, qubits, bonds))
    return max(found)


@pytest.mark.parametrize(("shape", "size"), [("any", 6), ("any", 3), ("chain", 4)])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_qubits_are_better(shape, size, seed):
    rng = np.random.default_rng(seed)
    readout = rng.uniform(0.005, 0.2, 14)
    gates = {pair: rng.uniform(0.001, 0.05) for pair in map(_sorted, HEXAGONS)}
    qubits = qep.best_qubits(Device(readout, gates), size, shape=shape)
    bonds = [bond for bond in gates if set(bond) <= set(qubits)]
    if shape == "chain":
        bonds = [_sorted(bond) for bond in pairwise(qubits)]
    best = chance(readout, gates, qubits, bonds)
    assert best == pytest.approx(enumerated(readout, gates, size, shape), rel=1e-12)
    first = range(size)
    assert best > 1.05 * chance(readout, gates, first, pairwise(first))


def _sorted(pair):
    return tuple(sorted(pair))


def test_rounds_weigh_couplings_against_readout():
    device = Device([0.1, 0.1, 0.2, 0.2], {(0, 1): 0.02, (1, 2): 0.5, (2, 3): 0.01})
    assert qep.best_qubits(device, 2, rounds=1) == (0, 1)
    assert qep.best_qubits(device, 2, rounds=50) == (2, 3)


def test_errors_missing_and_broken():
    readout = [0.01, 0.02, "none", 0.03, 1.0, 0.02]
    gates = {
        (0, 1): 1.0,  # broken
        (2, 1): 0.01,  # one direction only, and not sorted
        (2, 3): "none",
        (3, 2): 0.02,  # known in the other direction
        (3, 4): 0.001,  # to a qubit that cannot be read
        (3, 5): float("nan"),
    }
    device = Device(readout, gates)
    assert qep.best_qubits(device, 2) == (1, 2)
    assert qep.best_qubits(device, 3, shape="chain") == (1, 2, 3)
    assert qep.best_qubits(device, 4) == (1, 2, 3, 5)
    with pytest.raises(ValueError, match=r"toy has no 5 connected qubits .* only 4"):
        qep.best_qubits(device, 5)


def test_a_broken_coupling_is_not_among_the_qubits():
    ring = {(0, 1): 0.01, (1, 2): 0.01, (0, 2): 1.0, (2, 3): 0.2}
    device = Device([0.01] * 4, ring)
    assert qep.best_qubits(device, 3) == (1, 2, 3)
    assert qep.best_qubits(device, 3, shape="chain") == (0, 1, 2)


def test_without_any_error_or_coupling_map_the_first_will_do():
    assert qep.best_qubits(AerSimulator(), 4) == (0, 1, 2, 3)
    assert qep.best_qubits(Device(["none"] * 3, {(1, 2): "none"}), 2) == (1, 2)


def test_directed_gates_join_both_ways():
    device = Device([0.1] * 3, {(1, 0): 0.1, (1, 2): 0.1}, gate=ECRGate)
    assert qep.best_qubits(device, 3) == (0, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "num_qubits should be at least 1, got 0"),
        ((2, "tree"), "shape should be 'any' or 'chain', got 'tree'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    device = Device([0.1] * 3, {(0, 1): 0.1})
    size, *shape = arguments
    with pytest.raises(ValueError, match=message):
        qep.best_qubits(device, size, **({"shape": shape[0]} if shape else {}))


def test_the_width_is_that_of_six_qubits_of_a_heavy_hex_device():
    sizes = [1]
    sets = {frozenset([q]) for q in range(133)}
    neighbours = CouplingMap(FakeTorino().coupling_map.get_edges())
    for _ in range(4):
        sets = {
            s | {n} for s in sets for q in s for n in neighbours.neighbors(q)
        } - sets
        sizes.append(len(sets))
    assert sizes[-1] <= devices.WIDTH


@pytest.fixture(scope="module")
def torino():
    return FakeTorino()


@pytest.fixture(scope="module")
def cut(torino):
    return qep.cut_backend(torino, qep.best_qubits(torino, 4, shape="chain"))


@pytest.mark.parametrize("shape", ["any", "chain"])
def test_a_network_of_the_devices_own_graph_needs_no_swap(torino, shape):
    qubits = qep.best_qubits(torino, 6, shape=shape)
    edges = torino.coupling_map.reduce(qubits)
    model = qep.models.transverse_field_ising(6, edges=edges, readout=[5])
    circuit = qep.Ramp(steps=8).circuit(model.operators)
    measured = qep.measurement_circuit(circuit, model.operators)
    device = qep.Transpiled(SamplerV2(), torino, seed=1, qubits=qubits)
    isa = device.template(measured).circuit
    assert measured.count_ops()["rzz"] == 5 * 8
    assert isa.num_nonlocal_gates() == isa.count_ops()["cz"] == 2 * 5 * 8


def test_a_cut_keeps_what_the_device_says_of_its_qubits(torino):
    qubits = (81, 80, 92)
    cut = qep.cut_backend(torino, qubits)
    assert cut.num_qubits == 3
    assert sorted(cut.coupling_map.get_edges()) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    for name in ("sx", "measure", "cz", "x", "rz"):
        for where, properties in cut.target[name].items():
            old = torino.target[name][tuple(qubits[q] for q in where)]
            assert properties.error == old.error
            assert properties.duration == old.duration
    assert cut.target.qubit_properties[2].t1 == torino.target.qubit_properties[92].t1
    assert cut.target.dt == torino.target.dt


def test_a_cut_keeps_the_bounds_of_fractional_gates():
    target = qep.cut_backend(FakeFractionalBackend(), [1, 3, 4]).target
    assert target.supported_angle_bound("rzz", [math.pi / 2])
    assert not target.supported_angle_bound("rzz", [-1e-9])
    assert not target.supported_angle_bound("rzz", [math.pi / 2 + 1e-9])


def test_other_bounds_are_refused():
    target = Target(num_qubits=2)
    bounds = [(0, 1.0)]
    target.add_instruction(RZZGate(Parameter("t")), {(0, 1): None}, angle_bounds=bounds)
    with pytest.raises(ValueError, match="bounds of rzz should be 0 and pi / 2"):
        devices.cut_target(target, [0, 1])


def test_a_device_without_qubit_properties_can_be_cut():
    target = Target(num_qubits=3)
    target.add_instruction(SXGate(), {(q,): None for q in range(3)})
    target.add_instruction(CXGate(), {(0, 2): InstructionProperties(error=0.01)})
    cut = devices.cut_target(target, [2, 0])
    assert list(cut["cx"]) == [(1, 0)]
    assert cut.qubit_properties[1].t1 is None


@pytest.mark.parametrize("qubits", [(3,), (3, 3), (3, 133), (-1, 3)])
def test_wrong_qubits_are_refused(torino, qubits):
    with pytest.raises(
        ValueError, match="at least two different numbers from 0 to 132"
    ):
        qep.cut_backend(torino, qubits)


def asymmetric():
    """Different bits on all qubits, one of them by a CZ: order and signs are seen."""
    circuit = QuantumCircuit(4)
    circuit.x(0)
    circuit.ry(1.0, 1)
    circuit.h(3)
    circuit.cz(0, 3)
    circuit.h(3)
    circuit.measure_all()
    return circuit


SAMPLERS = {
    "backend": lambda cut: BackendSamplerV2(backend=cut),
    "aer": SamplerV2.from_backend,
    "executor": lambda cut: executor_sampler.SamplerV2(mode=cut),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_cut_serves_every_sampler(cut, name):
    device = qep.Transpiled(SAMPLERS[name](cut), cut, seed=1)
    bits = device.run([asymmetric()], shots=4000).result()[0].data.meas
    ones = bits.to_bool_array(order="little").mean(axis=0)
    assert np.abs(ones - [1, np.sin(0.5) ** 2, 0, 1]).max() < 0.1
    assert ones[2] > 0  # there is noise


def test_the_simulator_of_a_cut_is_built_once(cut):
    assert cut._simulator is cut._simulator
    assert cut._simulator.options.noise_model is not None


def test_the_runtimes_old_sampler_warns_and_runs(cut):
    with pytest.warns(DeprecationWarning, match="SamplerV2"):
        sampler = PredecessorSamplerV2(mode=cut)
    device = qep.Transpiled(sampler, cut, seed=1)
    bits = device.run([asymmetric()], shots=4000).result()[0].data.meas
    ones = bits.to_bool_array(order="little").mean(axis=0)
    assert np.abs(ones - [1, np.sin(0.5) ** 2, 0, 1]).max() < 0.1


NOISELESS = {
    "statevector": lambda seed: StatevectorSampler(seed=np.random.default_rng(seed)),
    "aer": lambda seed: SamplerV2(seed=seed),
    "AerSampler": qep.AerSampler,
}


def test_one_script_serves_all_samplers(cut):
    """Gradients agree within errors; those of one device's noise with each other."""
    model = qep.models.transverse_field_ising(3, edges="chain", readout=[2])
    theta = [0.8, -0.5, 0.9, 0.6, 0.7, 0.3, -0.6, 0.4]
    ramp = qep.Ramp(2, 4)

    def script(sampler):
        settle = qep.Prepared(ramp, sampler, shots=10_000)
        strong = qep.Nudge.centered(0.5).normalized()
        found = qep.gradient(
            model, theta, [], [-1.0], equilibrium=settle, nudge=strong, seed=6
        )
        return found, np.hypot(found.stds, found.slope_stds)

    exact, _ = script(None)
    ideal = [script(sampler) for sampler in NOISELESS.values()]
    noisy = [
        script(qep.Transpiled(make(cut), cut, seed=1))
        for make in (*SAMPLERS.values(), lambda cut: qep.AerSampler(backend=cut))
    ]
    for found, error in ideal:
        assert (np.abs(found.values - exact.values) < 5 * error).all()
    first, its_error = noisy[0]
    for found, error in noisy[1:]:
        both = np.hypot(error, its_error)
        assert (np.abs(found.values - first.values) < 5 * both).all()
    assert exact.norm > 20 * its_error.max()
    # Noise shortens a gradient, which one component may not show.
    length = np.mean([found.norm for found, _ in noisy])
    error = np.linalg.norm([found.norm_std for found, _ in noisy]) / len(noisy)
    assert exact.norm - length > 5 * error
