"""Errors of readout come out, exactly and with the right error bars."""

from functools import reduce

import numpy as np
import pytest
from qiskit.primitives import BaseSamplerV2, BitArray, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime import SamplerV2 as PredecessorSamplerV2
from qiskit_ibm_runtime import executor_sampler
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qiskit_qep as qep
from qiskit_qep.runtime.answers import warn_of_bounds
from qiskit_qep.runtime.counts import sample_moments
from qiskit_qep.runtime.readout import suppress_errors

ZERO, ONE = np.array([0.02, 0.11, 0.05]), np.array([0.09, 0.03, 0.17])  # P(1|0), P(0|1)
OUTCOMES = np.arange(8, dtype=np.uint64)
SUPPORTS = np.array([0b001, 0b010, 0b101, 0b111, 0b000], dtype=np.uint64)


def exact_readout(zero=ZERO, one=ONE):
    size = 2 * len(zero)
    return qep.Readout(np.concatenate([zero, one]), np.zeros((size, size)))


def confusion(zero=ZERO, one=ONE):
    """The matrix of P(outcome | bits); qubit 0 is the last factor."""
    singles = [
        np.array([[1 - a, b], [a, 1 - b]]) for a, b in zip(zero, one, strict=True)
    ]
    return reduce(np.kron, singles[::-1])


def parities():
    return 1.0 - 2.0 * (np.bitwise_count(OUTCOMES[:, None] & SUPPORTS) & 1)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_moments_are_those_of_the_inverted_confusion_matrix(rng):
    true = rng.dirichlet(np.ones(8))
    counts = confusion() @ true * 1e6
    means, covariance, _ = exact_readout().moments(OUTCOMES, counts, SUPPORTS)
    assert np.allclose(means, true @ parities(), atol=1e-12)
    raw, raw_covariance = sample_moments(parities(), counts)
    assert np.abs(raw - means).max() > 0.05
    assert np.all(np.diagonal(covariance)[:4] > np.diagonal(raw_covariance)[:4])
    assert means[-1] == pytest.approx(1.0)


def test_without_errors_nothing_changes(rng):
    counts = rng.integers(0, 100, 8)
    none = exact_readout(np.zeros(3), np.zeros(3))
    means, covariance, _ = none.moments(OUTCOMES, counts, SUPPORTS)
    raw, raw_covariance = sample_moments(parities(), counts)
    assert np.array_equal(means, raw)
    assert np.array_equal(covariance, raw_covariance)


def test_derivatives_by_the_rates_are_differences(rng):
    counts = rng.integers(1, 100, 8)
    readout = exact_readout()
    *_, slopes = readout.moments(OUTCOMES, counts, SUPPORTS)
    assert slopes.shape == (5, 6)
    for r in range(6):
        step = 1e-6 * (np.arange(6) == r)
        ends = [
            qep.Readout(readout.rates + s * step, readout.covariance).moments(
                OUTCOMES, counts, SUPPORTS
            )[0]
            for s in (1, -1)
        ]
        assert np.allclose(slopes[:, r], (ends[0] - ends[1]) / 2e-6, atol=1e-7)
    assert np.abs(slopes).max() > 0.5


def shots_of(probability, shots, rng):
    numbers = rng.choice(8, size=shots, p=probability)
    return BitArray(numbers[:, None].astype(np.uint8), 3)


OPERATORS = ["ZII", "IZZ", "ZIZ", SparsePauliOp(["IIX", "IXI"], [1.0, -0.5])]


def test_error_bars_include_the_calibration(rng):
    model = qep.Model(OPERATORS, readout=["IIZ"])
    truth = rng.dirichlet(np.ones(8), size=2)  # in the two settings
    noisy = truth @ confusion().T
    blank = np.eye(8)[[0, 7]] @ confusion().T

    def one_run():
        zeros, ones = (shots_of(p, 400, rng) for p in blank)
        readout = qep.Readout.of(zeros, ones)
        bits = BitArray(np.stack([shots_of(p, 900, rng).array for p in noisy])[None], 3)
        return qep.read_counts(model.operators, bits, readout)

    runs = [one_run() for _ in range(400)]
    values = np.array([run.values[0] for run in runs])
    covariance = np.mean([run.covariance[0] for run in runs], axis=0)
    spread = np.cov(values.T)
    # A sample variance of 400 has a relative error of 7 %; correlations likewise.
    assert np.allclose(np.diagonal(spread) / np.diagonal(covariance), 1.0, atol=0.35)
    scale = np.sqrt(np.diagonal(covariance))
    assert np.abs((spread - covariance) / np.outer(scale, scale)).max() < 0.3
    assert np.abs(covariance[0, 2] / (scale[0] * scale[2])) > 0.05
    bits = BitArray(np.stack([shots_of(p, 900, rng).array for p in noisy])[None], 3)
    sure = qep.read_counts(model.operators, bits, exact_readout()).covariance[0]
    assert np.trace(covariance) > 1.1 * np.trace(sure)  # the rates are not known


def test_values_are_right_and_raw_ones_are_not(rng):
    model = qep.Model(OPERATORS, readout=["IIZ"])
    truth = rng.dirichlet(np.ones(8), size=2)
    noisy = truth @ confusion().T
    zeros, ones = (shots_of(p, 40000, rng) for p in np.eye(8)[[0, 7]] @ confusion().T)
    shots = np.stack([shots_of(p, 40000, rng).array for p in noisy])
    perfect = np.stack([shots_of(p, 400000, rng).array for p in truth])
    readout = qep.Readout.of(zeros, ones)
    phase = qep.read_counts(model.operators, BitArray(shots[None], 3), readout)
    exact = qep.read_counts(model.operators, BitArray(perfect[None], 3))
    assert np.all(
        np.abs(phase.values - exact.values) < 5 * np.hypot(phase.stds, exact.stds)
    )
    assert np.abs((phase.raw.values - exact.values) / phase.raw.stds).max() > 20
    assert np.array_equal(phase[[0, 0]].raw.values[1], phase.raw.values[0])
    joined = qep.Phase.join([phase, phase])
    assert joined.raw.values.shape == joined.values.shape == (2, 5)


def test_rates_are_counted_per_qubit_and_their_covariance_too(rng):
    probability = confusion() @ np.eye(8)[0]
    together = 0.8 * probability
    together[0b110] += 0.2  # qubits 1 and 2 err together
    zeros = shots_of(together, 5000, rng)
    ones = shots_of(confusion() @ np.eye(8)[7], 5000, rng)
    readout = qep.Readout.of(zeros, ones)
    assert np.allclose(readout.rates[3:], ONE, atol=5 * np.sqrt(0.25 / 5000))
    assert readout.rates[1] > 0.2
    stds = np.sqrt(np.diagonal(readout.covariance))
    correlation = readout.covariance / np.outer(stds, stds)
    assert correlation[1, 2] > 0.4
    assert abs(correlation[0, 1]) < 0.1
    assert np.all(correlation[:3, 3:] == 0.0)


def test_perfect_calibrations_do_not_claim_perfect_rates():
    zeros = BitArray(np.zeros((50, 1), np.uint8), 3)
    ones = BitArray(np.full((50, 1), 7, np.uint8), 3)
    readout = qep.Readout.of(zeros, ones)
    assert np.all(readout.rates == 0.0)
    assert np.allclose(np.diagonal(readout.covariance), 1 / 51**2)


def test_values_that_no_state_has_are_named():
    """Both qubits' errors are one: taken as independent, ZZ is corrected too far."""
    rng = np.random.default_rng(2)
    operators = [SparsePauliOp("ZZ"), SparsePauliOp("ZI", -0.5)]

    def read(flips):
        bits = np.repeat(flips[:, None], 2, axis=1)
        return BitArray.from_bool_array(bits, order="little")

    wrong = rng.random((3, 4000)) < 0.1
    readout = qep.Readout.of(read(wrong[0]), read(~wrong[1]))
    bits = read(wrong[2]).reshape((1, 1))
    phase = qep.read_counts(operators, bits, readout)
    assert phase.raw.values[0, 0] == 1.0
    with pytest.warns(
        UserWarning, match=r"operator 0 of row 0 reads 1\.5.*bound of 1:"
    ):
        warn_of_bounds(operators, phase)
    warn_of_bounds(operators, phase.raw)  # the bits themselves cannot


def test_a_bit_that_says_nothing_is_refused():
    with pytest.raises(
        ValueError, match=r"qubit 1 reads 1 for \|0> in 0.480 of the .* in 0.500"
    ):
        exact_readout(np.array([0.1, 0.48]), np.array([0.1, 0.5]))


MODEL = qep.models.transverse_field_ising(3, inputs=[0], readout=[2], edges="chain")
THETA = [0.9, -0.4, 0.3, 0.8, 0.5, -0.7, 0.2, 0.6]
ROWS = MODEL.coefficients(THETA, [[1.0], [-0.5]])
RAMP = qep.Ramp(time=3, steps=4)


def misreading(num_qubits=5):
    """A ring whose qubits are all misread, each in its own way, and nothing else."""
    noise = NoiseModel(["cz", "rz", "sx", "x"])
    for q in range(num_qubits):
        a, b = 0.01 + 0.03 * q, 0.15 - 0.02 * q
        noise.add_readout_error(ReadoutError([[1 - a, a], [b, 1 - b]]), [q])
    ring = [[k, (k + 1) % num_qubits] for k in range(num_qubits)]
    return AerSimulator(noise_model=noise, coupling_map=ring, n_qubits=num_qubits)


class Spy(BaseSamplerV2):
    """Counts jobs and PUBs."""

    def __init__(self, sampler):
        self.sampler, self.jobs = sampler, []

    def run(self, pubs, *, shots=None):
        pubs = list(pubs)
        self.jobs.append([pub[0] if isinstance(pub, tuple) else pub for pub in pubs])
        return self.sampler.run(pubs, shots=shots)


def test_calibrations_ride_along_and_reach_the_same_qubits():
    backend = misreading()
    device = qep.Transpiled(SamplerV2.from_backend(backend), backend, qubits=(4, 0, 2))
    spy = Spy(device)
    shots = qep.Prepared(RAMP, spy, shots=20000, mitigation="readout")
    phase = shots(MODEL.operators, ROWS)
    exact = qep.Prepared(RAMP)(MODEL.operators, ROWS).values
    assert len(spy.jobs) == 1
    assert len(spy.jobs[0]) == 3
    assert np.all(np.abs(phase.values - exact) < 5 * phase.stds)
    assert np.abs((phase.raw.values - exact) / phase.raw.stds).max() > 20
    assert np.all(phase.stds > phase.raw.stds)


def test_a_gradient_by_mitigated_shots_is_that_of_the_circuit():
    backend = misreading()
    device = qep.Transpiled(SamplerV2.from_backend(backend), backend, seed=1)
    ask = {
        "theta": THETA,
        "x": [[1.0]],
        "y": [[-1.0]],
        "nudge": qep.Nudge.centered(0.4),
    }
    known = qep.gradient(MODEL, equilibrium=qep.Prepared(RAMP), **ask)
    made = {}
    for mitigation in ("none", "readout"):
        shots = qep.Prepared(RAMP, device, shots=40000, mitigation=mitigation)
        made[mitigation] = qep.gradient(MODEL, equilibrium=shots, **ask)
    far = {
        name: np.abs(g.prediction - known.prediction) / g.prediction_stds
        for name, g in made.items()
    }
    assert far["readout"].max() < 5 < far["none"].max()
    assert made["none"].raw is None
    raw = made["readout"].raw
    assert np.abs(raw.prediction - known.prediction) > 5 * raw.prediction_stds
    assert raw.norm < made["readout"].norm  # misread bits blur every difference
    stds = np.hypot(made["readout"].stds, made["readout"].slope_stds)
    assert np.all(np.abs(made["readout"].values - known.values) < 5 * stds)


def test_a_state_keeps_what_was_there_before_mitigation(tmp_path):
    backend = misreading()
    shots = qep.Prepared(
        RAMP, SamplerV2.from_backend(backend), shots=100, mitigation="readout"
    )
    states = qep.steps(MODEL, [[1.0]], [[-1.0]], equilibrium=shots, seed=1)
    state = next(states)
    state.save(tmp_path / "state.npz")
    raw = qep.State.load(tmp_path / "state.npz").gradient.raw
    assert raw.loss == state.gradient.raw.loss != state.loss
    assert np.array_equal(raw.prediction, state.gradient.raw.prediction)
    assert raw.raw is None


def test_calibrations_change_nothing_on_a_perfect_sampler():
    sampler = StatevectorSampler(seed=np.random.default_rng(8))
    phase = qep.Prepared(RAMP, sampler, mitigation="readout")(MODEL.operators, ROWS)
    assert np.allclose(phase.values, phase.raw.values, atol=1e-12)
    assert np.all(phase.stds >= phase.raw.stds)


@pytest.fixture(scope="module")
def cut():
    torino = FakeTorino()
    return qep.cut_backend(torino, qep.best_qubits(torino, 3, shape="chain"))


@pytest.mark.parametrize("ready", [True, False], ids=["sampler", "function"])
def test_full_switches_on_what_the_runtime_has(cut, ready):
    runtime = executor_sampler.SamplerV2(mode=cut)
    device = qep.Transpiled(runtime, cut, seed=1)
    sampler = device if ready else lambda seed: device
    shots = qep.Prepared(RAMP, sampler, shots=4000, mitigation="full")
    phase = shots(MODEL.operators, ROWS)
    assert runtime.options.twirling.enable_measure is True
    assert runtime.options.dynamical_decoupling.enable is True
    exact = qep.Prepared(RAMP)(MODEL.operators, ROWS).values
    assert np.abs(phase.values - exact).max() < 0.15  # noise of gates is left
    errors = [np.abs(p.values - exact).mean() for p in (phase, phase.raw)]
    assert errors[0] < errors[1] + phase.stds.mean()


def test_full_on_the_runtimes_old_sampler(cut):
    with pytest.warns(DeprecationWarning, match="SamplerV2"):
        runtime = PredecessorSamplerV2(mode=cut)
    suppress_errors(qep.Transpiled(runtime, cut))
    assert runtime.options.twirling.enable_measure is True
    assert runtime.options.dynamical_decoupling.enable is True


@pytest.mark.parametrize(
    ("sampler", "mitigation", "message"),
    [
        (
            SamplerV2(),
            "full",
            "needs a runtime sampler, .* got SamplerV2; use 'readout'",
        ),
        (None, "readout", "mitigation 'readout' needs a sampler"),
        (SamplerV2(), "zne", "should be 'none', 'readout' or 'full', got 'zne'"),
    ],
)
def test_mitigation_that_cannot_be_done_is_refused(sampler, mitigation, message):
    with pytest.raises(ValueError, match=message):
        qep.Prepared(RAMP, sampler, mitigation=mitigation)


def test_full_by_a_function_of_the_seed_is_refused_when_it_shows():
    shots = qep.Prepared(RAMP, lambda seed: SamplerV2(seed=seed), mitigation="full")
    with pytest.raises(ValueError, match="needs a runtime sampler"):
        shots(MODEL.operators, ROWS)
