"""Circuits measured by a sampler: one job, fresh noise, right signs."""

import pickle
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import (
    BackendSamplerV2,
    BaseSamplerV2,
    StatevectorSampler,
)
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2

import qiskit_qep as qep

RAMP = qep.Ramp(time=3, steps=6)
BIND = {"backend_options": {"runtime_parameter_bind_enable": True}}


def aer(seed):
    """Return Aer's own sampler, with fresh noise."""
    return SamplerV2(seed=seed, options=BIND)


def statevector(seed):
    return StatevectorSampler(seed=np.random.default_rng(seed))


@dataclass
class Spy(BaseSamplerV2):
    """Counts the jobs, and keeps what they asked for."""

    inner: BaseSamplerV2
    pubs: list = field(default_factory=list)

    def run(self, pubs, *, shots=None):
        pubs = list(pubs)
        self.pubs.append((*pubs, shots))
        return self.inner.run(pubs, shots=shots)


@pytest.fixture
def network():
    """A network where no two spins are alike."""
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2, 1])
    theta = np.array([0.9, -0.4, 0.3, 0.5, 0.8, -0.6, 0.2, -0.7, 0.4])
    return model, theta, np.array([[0.5], [-1.2]])


# -- values ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """Prepares one asymmetric state, whatever the Hamiltonian."""

    follow = False

    def circuit(self, operators):
        circuit = QuantumCircuit(3)
        circuit.ry(0.4, 0)
        circuit.rx(1.1, 1)
        circuit.cx(0, 2)
        circuit.rz(0.8, 2)
        circuit.ry(-0.9, 2)
        return circuit

    def angles(self, operators, coefficients, **how):
        return np.zeros((len(coefficients), 0))


PROBES = ["ZII", "IZI", "IIZ", "XII", "IXI", "IIX", "YII", "IYI", "IIY", "ZXY", "YIX"]
SAMPLERS = {
    "StatevectorSampler": lambda: StatevectorSampler(),
    "Aer": lambda: SamplerV2(options=BIND),
    "BackendSamplerV2": lambda: BackendSamplerV2(backend=AerSimulator()),
    "seeded Aer": lambda: aer,
    "AerSampler": lambda: qep.AerSampler,
    "seeded StatevectorSampler": lambda: statevector,
}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_signs_and_qubit_order(make):
    from qiskit.quantum_info import Statevector

    operators = [SparsePauliOp(label) for label in PROBES]
    settle = qep.Prepared(Probe(), make(), shots=20_000)
    phase = settle(operators, np.zeros((1, len(operators))))
    state = Statevector(Probe().circuit(operators))
    exact = [state.expectation_value(op).real for op in operators]
    assert len({round(abs(v), 2) for v in exact if abs(v) > 0.05}) > 5
    assert (np.abs(phase.values[0] - exact) < 5 * phase.stds[0] + 1e-3).all()
    assert phase.stds.max() < 0.01


@pytest.mark.parametrize("make", [aer, qep.AerSampler, statevector])
def test_shots_agree_with_the_prepared_states(network, make):
    model, theta, x = network
    rows = model.coefficients(theta, x)
    exact = qep.Prepared(RAMP)(model.operators, rows)
    rng = [np.random.default_rng(k) for k in range(2)]
    phase = qep.Prepared(RAMP, make, shots=20_000)(model.operators, rows, rng=rng)
    assert np.abs(exact.values).max() > 0.5
    assert (np.abs(phase.values - exact.values) < 5 * phase.stds).all()
    assert phase.shots == 2 * 20_000
    assert len(phase.jobs) == 1
    np.testing.assert_array_equal(phase.state[0], exact.state[1])


def test_ideal_shots_of_a_ramp(network):
    model, theta, x = network
    settle = qep.Sampled(20_000, qep.Prepared(RAMP))
    p, std = qep.predict(model, theta, x, equilibrium=settle, seed=0, return_std=True)
    exact = qep.predict(model, theta, x, equilibrium=qep.Prepared(RAMP))
    assert (np.abs(p - exact) < 5 * std).all()
    assert std.max() < 0.01


def test_requests_and_answers_are_pure_functions(network):
    model, theta, x = network
    rows = model.coefficients(theta, x)
    circuit = qep.measurement_circuit(RAMP.circuit(model.operators), model.operators)
    angles = RAMP.angles(model.operators, rows)
    pub = qep.build_pub(circuit, model.operators, angles)
    assert pub[1].shape == (2, 2, circuit.num_parameters)
    bits = SamplerV2(seed=3).run([pub], shots=500).result()[0].data.meas
    phase = qep.read_counts(model.operators, bits)
    again = qep.read_counts(model.operators, bits)
    np.testing.assert_array_equal(phase.values, again.values)
    exact = qep.Prepared(RAMP)(model.operators, rows)
    assert (np.abs(phase.values - exact.values) < 5 * phase.stds).all()
    with pytest.raises(ValueError, match=r"bits should have shape \(batch, 2\), got"):
        qep.read_counts(model.operators, bits[0])
    with pytest.raises(ValueError, match=r"shots of 2 bits, got 500 shots of 3"):
        qep.read_counts([SparsePauliOp(label) for label in ("ZI", "IX", "XI")], bits)
    with pytest.raises(ValueError, match=r"angles should have shape \(batch, \d+\)"):
        qep.build_pub(circuit, model.operators, angles[:, :-1])
    with pytest.raises(ValueError, match=r"should have 3 qubits, .* got 2"):
        qep.measurement_circuit(QuantumCircuit(2), model.operators)


def test_a_setting_costs_one_angle():
    model = qep.models.transverse_field_ising(5, readout=[0])
    plain = RAMP.circuit(model.operators)
    measured = qep.measurement_circuit(plain, model.operators)
    assert measured.num_parameters == plain.num_parameters + 1
    diagonal = [SparsePauliOp("ZZ"), SparsePauliOp("IZ")]
    bare = QuantumCircuit(2)
    assert qep.measurement_circuit(bare, diagonal).num_parameters == 0


@pytest.mark.parametrize("preparation", [RAMP, qep.Variational("exact", RAMP)])
def test_it_can_be_sent_to_another_process(network, preparation):
    model, theta, x = network
    settle = qep.Prepared(preparation)
    here = qep.predict(model, theta, x, equilibrium=settle)
    there = pickle.loads(pickle.dumps(settle))  # as ``Parallel`` sends it
    np.testing.assert_array_equal(qep.predict(model, theta, x, equilibrium=there), here)
    assert np.abs(here).max() > 0.1


# -- jobs -----------------------------------------------------------------------------


@pytest.mark.parametrize("num_spins", [2, 5])
def test_a_step_is_two_jobs_and_one_where_the_slope_is_known(num_spins):
    model = qep.models.transverse_field_ising(
        num_spins, inputs=[0], readout=[num_spins - 1]
    )
    x, y = np.linspace(-1, 1, 6)[:, None], np.ones((6, 1))
    for loss, jobs in ((qep.squared_error, 2), (qep.cost_observable, 1)):
        spy = Spy(StatevectorSampler())
        settle = qep.Prepared(qep.Ramp(2, 3), spy, shots=10)
        how = {"equilibrium": settle, "loss": loss, "seed": 1}
        last = qep.train(model, x, y, steps=3, progress=False, **how)
        assert last.step == 3
        assert len(spy.pubs) == 4 * jobs
        circuits = {id(circuit) for (circuit, _), _ in spy.pubs}
        assert len(circuits) == 1  # built once, so transpiled once
        assert sum(values.shape[0] for (_, values), _ in spy.pubs) == 4 * 6 * 3
        assert all(shots == 10 for _, shots in spy.pubs)


# -- noise ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "jobs"),
    [
        ({"max_circuits": 4}, 3),  # of 5 rows in 2 settings
        ({"max_executions": 7 * 500}, 2),
        ({"max_payload": 2 * 8 * 58}, 5),  # 57 angles of the ramp and the setting's
        ({"max_circuits": 4, "mitigation": "readout"}, 5),
    ],
)
def test_what_is_too_much_for_one_job_is_spread(network, limit, jobs):
    model, theta, _ = network
    spy = Spy(StatevectorSampler())
    x = np.linspace(-1, 1, 5)[:, None]
    shots = qep.Prepared(RAMP, spy, shots=500, **limit)
    circuit = shots.circuit(model.operators)
    assert circuit.num_parameters == 58
    plan = qep.plan(model, x, equilibrium=shots, loss=qep.cost_observable, steps=0)
    phase = shots(model.operators, model.coefficients(theta, x))
    assert len(set(phase.jobs)) == len(spy.pubs) == jobs
    assert plan.jobs >= 2 * jobs  # of three phases
    exact = qep.Prepared(RAMP)(model.operators, model.coefficients(theta, x))
    assert np.ptp(exact.values, axis=0).max() > 0.3
    assert (np.abs(phase.values - exact.values) < 5 * phase.stds).all()
    with pytest.raises(ValueError, match="leaves 1 circuits for a job, and one row"):
        replace(shots, max_executions=1999 if "mitigation" in limit else 999)(
            model.operators, model.coefficients(theta, x)
        )


def test_a_seed_gives_the_same_run_and_another_another(network):
    model, theta, x = network
    settle = qep.Prepared(RAMP, aer, shots=200)
    y = np.array([[1.0, -1.0], [-1.0, 1.0]])
    one, same, other = (
        qep.gradient(model, theta, x, y, equilibrium=settle, seed=s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.values, same.values)
    assert (one.values != other.values).all()


@pytest.mark.parametrize("make", [aer, qep.AerSampler, statevector])
def test_phases_do_not_share_their_noise(network, make):
    """A sampler with a fixed seed correlates them by up to .8."""
    model, theta, x = network
    settle = qep.Prepared(qep.Ramp(1, 1), make, shots=50)
    rows = np.repeat(model.coefficients(theta, x[:1]), 400, axis=0)
    rng = [np.random.default_rng(k) for k in range(len(rows))]
    values = settle(model.operators, rows, rng=rng).values
    spread = values - values.mean(axis=0)
    up, down = spread[::2], spread[1::2]
    correlation = (up * down).mean(axis=0) / values.var(axis=0)
    assert np.abs(correlation).max() < 5 / np.sqrt(200)
    stds = settle(model.operators, rows[:50], rng=rng[:50]).stds.mean(axis=0)
    np.testing.assert_allclose(values.std(axis=0), stds, rtol=0.25)


@pytest.mark.parametrize(
    ("sampler", "match"),
    [
        (SamplerV2(seed=7), r"SamplerV2 has the fixed seed 7.*lambda seed: SamplerV2"),
        (StatevectorSampler(seed=5), r"fixed seed 5.*seed=np.random.default_rng\(seed"),
        (
            SamplerV2(options={"backend_options": {"seed_simulator": 3}}),
            "SamplerV2 has the fixed seed 3",
        ),
        (
            BackendSamplerV2(backend=AerSimulator(), options={"seed_simulator": 2}),
            "BackendSamplerV2 has the fixed seed 2",
        ),
    ],
)
def test_a_fixed_seed_is_refused(sampler, match):
    with pytest.raises(ValueError, match=match):
        qep.Prepared(RAMP, sampler)


def test_a_seed_that_every_row_would_share_is_refused(network):
    model, theta, x = network
    settle = qep.Prepared(RAMP, lambda seed: StatevectorSampler(seed=seed))
    with pytest.raises(ValueError, match=r"np.random.default_rng\(seed\)"):
        qep.predict(model, theta, x, equilibrium=settle, seed=1)
    qep.Prepared(RAMP, StatevectorSampler(seed=np.random.default_rng(1)))


# -- refused --------------------------------------------------------------------------


def test_wrong_arguments_are_refused(network):
    with pytest.raises(ValueError, match="shots should be at least 1, got 0"):
        qep.Prepared(RAMP, shots=0)
    with pytest.raises(TypeError, match=r"BaseSamplerV2 or a function .* got 7"):
        qep.Prepared(RAMP, 7)
    model, theta, x = network
    with pytest.raises(
        TypeError, match=r"no circuit can prepare; use Nudge\.chebyshev"
    ):
        qep.gradient(
            model,
            theta,
            x,
            np.ones((2, 2)),
            equilibrium=qep.Prepared(RAMP),
            nudge=qep.Nudge.holomorphic(0.1, 4),
        )


def test_twenty_spins_on_a_chain_as_matrix_product_states():
    model = qep.models.transverse_field_ising(
        20, edges="chain", inputs=[0], readout=[19]
    )
    rng = np.random.default_rng(0)
    theta = np.concatenate([np.full(19, 0.5), np.full(20, 1.0), np.full(20, 0.3)])
    theta += 0.05 * rng.standard_normal(len(theta))
    how = {"nudge": qep.Nudge.centered(0.4), "loss": qep.cost_observable}
    exact = qep.gradient(model, theta, [[1.0]], [[-1.0]], **how).values

    def mps(seed):
        options = {"backend_options": {"method": "matrix_product_state"}}
        return SamplerV2(seed=seed, options=options)

    settle = qep.Prepared(qep.Ramp(5, 15), mps, shots=4000)
    found = qep.gradient(
        model, theta, [[1.0]], [[-1.0]], equilibrium=settle, seed=2, **how
    )
    cosine = exact @ found.values / np.linalg.norm(exact) / found.norm
    assert np.linalg.norm(exact) > 0.5
    assert cosine > 0.97
    assert abs(found.norm / np.linalg.norm(exact) - 1) < 0.15
