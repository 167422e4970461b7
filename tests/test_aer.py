"""AerSampler: the shots of Aer's own sampler, in a drawn order."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_aer.primitives import SamplerV2

import qiskit_qep as qep


def tilted(num_qubits):
    """A circuit of one free angle, whose qubits are all different."""
    angle = Parameter("a")
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.ry((q + 1) * angle, q)
    circuit.measure_all()
    return circuit


def in_order(bits):
    """Sort the shots of every binding."""
    numbers = np.zeros(bits.array.shape[:-1], dtype=object)
    for k in range(bits.array.shape[-1]):
        numbers = numbers * 256 + bits.array[..., k].astype(object)
    return np.sort(numbers, axis=-1)


@pytest.mark.parametrize("num_qubits", [1, 3, 8, 9, 11])
def test_shots_are_those_of_the_own_sampler(num_qubits):
    circuit = tilted(num_qubits)
    values = np.array([[[0.3], [1.1]], [[0.7], [2.0]], [[0.1], [1.6]]])
    options = {"backend_options": {"runtime_parameter_bind_enable": True}}
    ours, own = (
        sampler.run([(circuit, values)], shots=500).result()[0].data.meas
        for sampler in (qep.AerSampler(7), SamplerV2(seed=7, options=options))
    )
    assert ours.array.shape == own.array.shape == (3, 2, 500, (num_qubits + 7) // 8)
    assert ours.num_bits == num_qubits
    np.testing.assert_array_equal(in_order(ours), in_order(own))
    assert len(np.unique(in_order(ours))) > 1


def test_a_seed_decides_and_none_draws():
    pub = (tilted(3), [[0.5]])

    def shots(seed):
        return qep.AerSampler(seed).run([pub], shots=200).result()[0].data.meas.array

    np.testing.assert_array_equal(shots(1), shots(1))
    assert not np.array_equal(in_order_of(shots(1)), in_order_of(shots(2)))
    assert not np.array_equal(shots(None), shots(None))


def in_order_of(array):
    return np.sort(array[..., 0], axis=-1)


def test_any_part_of_the_shots_is_a_fair_sample():
    bits = qep.AerSampler(3).run([(tilted(1), [np.pi / 2])], shots=40_000).result()
    ones = bits[0].data.meas.array[:, 0]
    halves = ones[:20_000].mean(), ones[20_000:].mean()
    assert abs(halves[0] - halves[1]) < 5 * 0.5 * (2 / 20_000) ** 0.5
    follows = np.corrcoef(ones[1:], ones[:-1])[0, 1]
    assert abs(follows) < 5 / 40_000**0.5


def test_registers_keep_their_bits():
    qubits = QuantumRegister(3)
    low, high = ClassicalRegister(2, "low"), ClassicalRegister(1, "high")
    circuit = QuantumCircuit(qubits, low, high)
    circuit.x([1, 2])
    circuit.measure([0, 1, 2], [low[0], low[1], high[0]])
    data = qep.AerSampler(0).run([circuit], shots=10).result()[0].data
    assert data.low.get_counts() == {"10": 10}
    assert data.high.get_counts() == {"1": 10}


def test_requests_of_all_kinds_in_one_job():
    fixed = QuantumCircuit(2)
    fixed.x(1)
    fixed.measure_all()
    twice = BindingsArray({}, shape=(2,))
    free = tilted(2)
    answers = (
        qep.AerSampler(5)
        .run([(fixed, twice), (free, [[0.0], [np.pi]], 30), fixed], shots=20)
        .result()
    )
    shapes = [(a.data.meas.shape, a.data.meas.num_shots) for a in answers]
    assert shapes == [((2,), 20), ((2,), 30), ((), 20)]
    assert [answers[0].data.meas.get_counts(k) for k in range(2)] == [{"10": 20}] * 2
    assert answers[1].data.meas.get_counts(0) == {"00": 30}
    assert answers[1].data.meas.get_counts(1) == {"01": 30}
    assert answers[2].data.meas.get_counts() == {"10": 20}
    assert qep.AerSampler().run([fixed]).result()[0].data.meas.num_shots == 1024


def test_a_simulator_brings_its_noise_and_its_method():
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.0, 1.0]]))
    noisy = AerSimulator(noise_model=noise, method="density_matrix")
    bits = qep.AerSampler(1, noisy).run([(tilted(1), [0.0])], shots=10_000).result()
    ones = bits[0].data.meas.array.mean()
    assert abs(ones - 0.1) < 5 * (0.09 / 10_000) ** 0.5


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(ValueError, match=r"should have classical bits.*measure_all"):
        qep.AerSampler().run([QuantumCircuit(1)])
    with pytest.raises(TypeError, match="should be an AerSimulator, got 'aer'"):
        qep.AerSampler(backend="aer")
    wide = QuantumCircuit(40)
    wide.h(range(40))
    wide.t(range(40))
    wide.measure_all()
    dense = qep.AerSampler(backend=AerSimulator(method="statevector"))
    with pytest.raises(RuntimeError, match=r"Aer failed: .*[Ii]nsufficient memory"):
        dense.run([wide]).result()


def test_noise_is_fresh_in_every_job_and_a_fixed_one_is_refused():
    with pytest.raises(ValueError, match="AerSampler has the fixed seed 3"):
        qep.Prepared(qep.Ramp(1, 1), qep.AerSampler(3))
    repeats = AerSimulator(seed_simulator=4)
    with pytest.raises(ValueError, match="AerSampler has the fixed seed 4"):
        qep.Prepared(qep.Ramp(1, 1), qep.AerSampler(backend=repeats))
