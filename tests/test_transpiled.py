"""Transpiled: what reaches the device is in its target, and means the same."""

import gc
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import RXGate, RZZGate
from qiskit.primitives import BackendSamplerV2, BaseSamplerV2, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime import SamplerV2 as PredecessorSamplerV2
from qiskit_ibm_runtime import executor_sampler

import qiskit_qep as qep
from qiskit_qep.runtime import templates, transpiled
from qiskit_qep.runtime.fractional import fold, folded
from qiskit_qep.runtime.templates import check_instructions, measured_qubits

LINE = [[k, k + 1] for k in range(6)]
BASIS = ["cz", "rz", "sx", "x"]


def line(num_qubits=7, fractional=False):
    """A line of qubits, with rzz and rx as IBM's fractional gates on request."""
    edges = LINE[: num_qubits - 1]
    backend = GenericBackendV2(
        num_qubits, basis_gates=BASIS, coupling_map=edges, seed=1, noise_info=False
    )
    if fractional:
        angle = Parameter("angle")
        pairs = dict.fromkeys(backend.coupling_map.get_edges())
        target = backend.target
        target.add_instruction(RZZGate(angle), pairs, angle_bounds=[(0, math.pi / 2)])
        target.add_instruction(RXGate(angle), {(q,): None for q in range(num_qubits)})
    return backend


class Recorder(BaseSamplerV2):
    """Keeps what it was asked, and runs it on a simulator that knows only the ISA."""

    def __init__(self, sampler=None):
        self.pubs = []
        self._inside = SamplerV2() if sampler is None else sampler

    def run(self, pubs, *, shots=None):
        pubs = list(pubs)
        self.pubs += pubs
        return self._inside.run(pubs, shots=shots)


def probe():
    """A circuit with different bits everywhere, and entangled: nothing is symmetric."""
    angles = ParameterVector("angle", 12)  # angle[2] comes before angle[10]
    circuit = QuantumCircuit(4)
    for q in range(4):
        circuit.ry(angles[11 - q], q)
    for k, (a, b) in enumerate([(0, 3), (1, 3), (0, 2), (1, 2)]):
        circuit.rzz(angles[k], a, b)
        circuit.rx(angles[4 + k], a)
    circuit.measure_all()
    return circuit


def probabilities(circuit, values):
    """What the measured bits of a bound circuit say, exactly; clbit 0 is bit 0."""
    bound = circuit.assign_parameters(values)
    where = measured_qubits(bound)
    bound.remove_final_measurements()
    return Statevector(bound).probabilities(list(where))


def test_the_probe_tells_qubits_and_angles_apart(rng):
    values = rng.uniform(-3, 3, 12)
    first = probabilities(probe(), values)
    assert np.abs(first - probabilities(probe(), values[::-1])).max() > 0.05
    swapped = first.reshape(2, 2, 2, 2).transpose(3, 2, 1, 0).ravel()
    assert np.abs(first - swapped).max() > 0.05


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("fractional", [False, True], ids=["cz", "rzz"])
@pytest.mark.parametrize("qubits", [None, (5, 2, 3, 1)], ids=["free", "scrambled"])
def test_bindings_mean_the_same_after_transpilation(level, fractional, qubits, rng):
    backend, circuit = line(fractional=fractional), probe()
    recorder = Recorder()
    device = qep.Transpiled(recorder, backend, level=level, seed=5, qubits=qubits)
    values = rng.uniform(-9, 9, (3, 12))
    device.run([(circuit, values)], shots=10).result()
    (pub,) = recorder.pubs
    assert pub.circuit.num_qubits == 7
    check_instructions(pub.circuit, backend.target)
    bound = pub.parameter_values.as_array(pub.circuit.parameters)
    for before, after in zip(values, bound, strict=True):
        same = probabilities(pub.circuit, after) - probabilities(circuit, before)
        assert np.abs(same).max() < 1e-12
    if qubits and not fractional:  # a folded circuit starts from one on the device
        assert pub.circuit.layout.initial_index_layout()[:4] == list(qubits)


def predecessor(backend):
    with pytest.warns(DeprecationWarning, match="SamplerV2"):
        return PredecessorSamplerV2(mode=backend)


SAMPLERS = {  # from a simulator of the device
    "backend": lambda ideal: BackendSamplerV2(backend=ideal),
    "aer": SamplerV2.from_backend,
    "executor": lambda ideal: executor_sampler.SamplerV2(mode=ideal),
    "predecessor": predecessor,
    "statevector": lambda _: StatevectorSampler(seed=np.random.default_rng(4)),
}


@pytest.mark.parametrize("fractional", [False, True], ids=["cz", "rzz"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_bits_of_the_probe_come_from_every_sampler(name, fractional, rng):
    backend = line(5, fractional=fractional)
    sampler = SAMPLERS[name](_ideal(backend))
    device = qep.Transpiled(sampler, backend, seed=2, qubits=(3, 1, 4, 0))
    values = rng.uniform(-4, 4, (2, 12))
    circuit = probe()
    bits, again = (
        device.run([(circuit, values)], shots=2000).result()[0].data.meas
        for _ in range(2)
    )
    assert not np.array_equal(bits.array, again.array)
    for row in range(2):
        expected = probabilities(circuit, values[row])
        counts = bits[row].get_int_counts()
        seen = np.array([counts.get(k, 0) for k in range(16)]) / bits.num_shots
        assert np.all(
            np.abs(seen - expected) < 5 * (np.sqrt(expected / 2000) + 1 / 2000)
        )
        assert np.abs(seen - expected[::-1]).max() > 0.05


MIXED = qep.Model(  # Y is measured by other turns than X; no two qubits are alike
    ["ZZI", "IXZ", SparsePauliOp(["XII", "IIX"], [0.7, -1.0]), "YIY"],
    inputs=["IIZ"],
    readout=["IZI"],
    fixed=SparsePauliOp(["IIX", "IXI", "XII", "IYI"], [-1.0, -0.8, -1.2, 0.5]),
)


@pytest.mark.parametrize("name", SAMPLERS)
def test_shots_agree_with_the_prepared_states(name):
    backend = line(5)
    device = qep.Transpiled(
        SAMPLERS[name](_ideal(backend)), backend, seed=1, qubits=(4, 1, 2)
    )
    ramp = qep.Ramp(time=3, steps=4)
    rows = MIXED.coefficients([0.9, -0.4, 0.3, 0.8], [[1.0], [-0.5]])
    phase = qep.Prepared(ramp, device, shots=4000)(MIXED.operators, rows)
    exact = qep.Prepared(ramp)(MIXED.operators, rows).values
    assert np.abs(exact[:, :5]).min() > 0.02
    assert np.ptp(exact) > 0.8
    assert np.all(np.abs(phase.values - exact) < 5 * phase.stds)


def _ideal(backend):
    """A simulator of the backend's instructions and couplings, without noise."""
    return AerSimulator(target=backend.target)


def count_calls(monkeypatch):
    calls = []
    original = templates.generate_preset_pass_manager

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(templates, "generate_preset_pass_manager", counted)
    return calls


def test_a_training_transpiles_once(monkeypatch):
    calls = count_calls(monkeypatch)
    backend = line(3)
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    shots = qep.Prepared(
        qep.Ramp(time=2, steps=2),
        lambda seed: qep.Transpiled(SamplerV2(seed=seed), backend),
        shots=50,
    )
    qep.train(
        model, [[1.0]], [[1.0]], equilibrium=shots, steps=2, seed=3, progress=False
    )
    assert len(calls) == 1


def test_seeds_repeat_a_run_and_differ_between_jobs():
    backend = line(3)
    model = qep.models.transverse_field_ising(2, inputs=[0], readout=[1])
    shots = qep.Prepared(
        qep.Ramp(time=2, steps=2),
        lambda seed: qep.Transpiled(SamplerV2(seed=seed), backend, seed=1),
        shots=500,
    )
    first, again, other = (
        qep.predict(model, np.full(5, 0.4), [[1.0]], equilibrium=shots, seed=seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_fixed_seed_of_shots_is_seen_through_the_wrapper():
    device = qep.Transpiled(SamplerV2(seed=7), line(3), seed=1)
    with pytest.raises(ValueError, match="SamplerV2 has the fixed seed 7"):
        qep.Prepared(qep.Ramp(), device)
    unseeded = qep.Transpiled(SamplerV2(), line(3), seed=1)  # the transpiler's own
    qep.Prepared(qep.Ramp(), unseeded)
    repeats = qep.Prepared(
        qep.Ramp(), lambda seed: qep.Transpiled(StatevectorSampler(seed=seed), line(3))
    )
    model = qep.models.transverse_field_ising(2, readout=[1])
    with pytest.raises(ValueError, match="StatevectorSampler has the fixed seed"):
        qep.predict(model, np.ones(5), [], equilibrium=repeats)


@pytest.mark.parametrize(
    "sampler",
    [
        BackendSamplerV2(backend=AerSimulator(seed_simulator=3)),
        BackendSamplerV2(backend=AerSimulator(), options={"seed_simulator": 3}),
        SamplerV2.from_backend(AerSimulator(seed_simulator=3)),
        executor_sampler.SamplerV2(
            mode=AerSimulator(), options={"simulator": {"seed_simulator": 3}}
        ),
    ],
    ids=["backend", "option", "aer", "executor"],
)
def test_a_seed_hidden_in_a_simulator_is_found(sampler):
    with pytest.raises(ValueError, match="has the fixed seed 3"):
        qep.Prepared(qep.Ramp(), qep.Transpiled(sampler, line(3)))


def test_templates_go_with_their_circuit_and_their_backend():
    backend, circuit = line(5), probe()
    device = qep.Transpiled(SamplerV2(), backend)
    first = device.template(circuit)
    assert device.template(circuit) is first
    assert qep.Transpiled(SamplerV2(), backend).template(circuit) is first
    assert qep.Transpiled(SamplerV2(), line(5)).template(circuit) is not first
    assert qep.Transpiled(SamplerV2(), backend, level=0).template(circuit) is not first
    assert len(transpiled._known[backend]) == 2
    del circuit
    gc.collect()
    assert len(transpiled._known[backend]) == 0
    before = len(transpiled._known)
    del backend, device
    gc.collect()
    assert len(transpiled._known) < before


def test_a_circuit_that_was_edited_is_transpiled_again():
    backend, circuit = line(3), QuantumCircuit(1)
    device = qep.Transpiled(SamplerV2(), backend)
    circuit.measure_all()
    assert device.run([circuit], shots=20).result()[0].data.meas.bitcount().max() == 0
    circuit.data.insert(0, circuit.data[0].replace(operation=_x()))
    assert device.run([circuit], shots=20).result()[0].data.meas.bitcount().min() == 1


def _x():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    return circuit.data[0].operation


def test_calibrations_sit_on_the_qubits_of_their_circuit():
    backend, circuit = line(), probe()
    calibration = QuantumCircuit(4, metadata={"qubits_of_pub": 0})
    calibration.x([0, 3])
    calibration.measure_all()
    recorder = Recorder()
    device = qep.Transpiled(recorder, backend, seed=3)
    result = device.run([(circuit, np.ones(12)), calibration], shots=10).result()
    main, extra = (measured_qubits(pub.circuit) for pub in recorder.pubs)
    assert main == extra
    assert main != (0, 1, 2, 3)
    assert set(result[1].data.meas.get_counts()) == {"1001"}


def test_a_simulator_of_any_width_keeps_that_of_the_circuit():
    backend = BasicSimulator()
    device = qep.Transpiled(BackendSamplerV2(backend=backend), backend)
    assert backend.num_qubits is None
    assert device.template(probe()).circuit.num_qubits == 4


def test_a_pub_keeps_its_shots_and_its_shape():
    device = qep.Transpiled(SamplerV2(), line())
    job = device.run([(probe(), np.zeros((2, 1, 3, 12)), 17)])
    bits = job.result()[0].data.meas
    assert bits.shape == (2, 1, 3)
    assert bits.num_shots == 17


EDGES = [
    0.0,
    np.pi / 2,
    -np.pi / 2,
    np.pi,
    -np.pi,
    3 * np.pi / 2,
    2 * np.pi,
    7.0,
    -50.0,
]


@pytest.mark.parametrize("angle", EDGES)
def test_folding_is_exact(angle, rng):
    t = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.rzz(t, 1, 0)
    narrow, angles, added = fold(circuit)
    assert angles == (t,)
    state = Statevector(rng.normal(size=4) + 1j * rng.normal(size=4))
    size, *_ = values = folded(np.array([angle]))
    assert 0.0 <= size <= np.pi / 2
    bound = narrow.assign_parameters(dict(zip(added, values, strict=True)))
    exact = state.evolve(circuit.assign_parameters([angle]))
    assert abs(state.evolve(bound).inner(exact)) == pytest.approx(
        state.inner(state).real, abs=1e-12
    )


def test_folding_shares_its_parameters_and_leaves_numbers_alone():
    t = Parameter("t")
    circuit = QuantumCircuit(3)
    circuit.rzz(t, 0, 1)
    circuit.rzz(2 * t + 1, 1, 2)
    circuit.rzz(t, 0, 2)
    circuit.rzz(0.3, 0, 1)
    narrow, angles, added = fold(circuit)
    assert angles == (t, 2 * t + 1)
    assert len(added) == narrow.num_parameters == 6
    assert narrow.data[-1] == circuit.data[-1]


def test_expressions_are_folded_like_symbols(rng):
    t, u = Parameter("u"), Parameter("t")  # not in the order of their use
    circuit = QuantumCircuit(2)
    circuit.ry(0.4, [0, 1])
    circuit.rzz(2 * t - u, 0, 1)
    circuit.rx(u, 0)
    circuit.cp(t * u, 0, 1)
    circuit.ry(-1.1, [0, 1])
    circuit.measure_all()
    template = qep.Transpiled(SamplerV2(), line(3, fractional=True)).template(circuit)
    assert len(template.angles) == 2  # the phase gate became an rzz, too
    for values in rng.uniform(-5, 5, (5, 2)):
        after = probabilities(template.circuit, template.bind(values))
        assert np.abs(after - probabilities(circuit, values)).max() < 1e-12


def test_a_fractional_device_needs_one_rzz_for_each():
    backend = line(6, fractional=True)
    model = qep.models.transverse_field_ising(6, readout=[5], edges="chain")
    circuit = qep.measurement_circuit(
        qep.Ramp().circuit(model.operators), model.operators
    )
    fractional = qep.Transpiled(SamplerV2(), backend).template(circuit).circuit
    plain = qep.Transpiled(SamplerV2(), line(6)).template(circuit).circuit
    wanted = circuit.count_ops()["rzz"]
    assert fractional.num_nonlocal_gates() == fractional.count_ops()["rzz"] == wanted
    assert plain.num_nonlocal_gates() == plain.count_ops()["cz"] == 2 * wanted


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (lambda c: c.h(0), r"h on qubits \(0,\) is no instruction"),
        (lambda c: c.cz(0, 2), r"cz on qubits \(0, 2\) is no instruction"),
        (lambda c: c.rzz(-0.3, 0, 1), r"rzz on qubits \(0, 1\) got the angle -0.3"),
    ],
)
def test_what_a_device_cannot_do_is_refused(circuit, message):
    wrong = QuantumCircuit(3)
    circuit(wrong)
    with pytest.raises(ValueError, match=message):
        check_instructions(wrong, line(3, fractional=True).target)


def test_free_angles_out_of_bounds_are_refused():
    template = qep.Transpiled(SamplerV2(), line(2, fractional=True)).template(_rzz())
    place = ("rzz", (0, 1))
    assert place in template.bounded.values()
    with pytest.raises(ValueError, match=r"got the angle 1\.6, outside the bounds"):
        templates.check_angle(template.target, place, np.array([0.1, 1.6]))


def _rzz():
    circuit = QuantumCircuit(2)
    circuit.rzz(Parameter("t"), 0, 1)
    circuit.measure_all()
    return circuit


def test_numbers_that_are_not_finite_are_refused():
    recorder = Recorder()
    device = qep.Transpiled(recorder, line())
    values = np.zeros((2, 12))
    values[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"should be finite, got nan in row \[1\]"):
        device.run([(probe(), values)], shots=10)
    assert recorder.pubs == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 4}, "level should be 0, 1, 2 or 3, got 4"),
        ({"qubits": (0, 9)}, r"numbers from 0 to 6.* got \(0, 9\)"),
        ({"qubits": (3, 3)}, r"distinct numbers .* got \(3, 3\)"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        qep.Transpiled(SamplerV2(), line(), **arguments)


def test_something_else_than_a_sampler_is_refused():
    with pytest.raises(TypeError, match="sampler should be a BaseSamplerV2, got 3"):
        qep.Transpiled(3, line())


@pytest.mark.parametrize(
    ("backend", "qubits", "message"),
    [
        (line(3), None, "circuit has 4 qubits, but .* has only 3"),
        (line(), (0, 1), r"circuit has 4 qubits, but is to run on the 2 qubits \(0, 1"),
    ],
)
def test_a_register_that_does_not_fit_is_refused(backend, qubits, message):
    device = qep.Transpiled(SamplerV2(), backend, qubits=qubits)
    with pytest.raises(ValueError, match=message):
        device.run([(probe(), np.zeros(12))])


@pytest.fixture
def rng():
    return np.random.default_rng(11)
