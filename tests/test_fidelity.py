"""What is said of a circuit's quality is what an independent comparison finds."""

import numpy as np
import pytest

import qiskit_qep as qep
import reference
from qiskit_qep.runtime.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def network():
    model = qep.models.transverse_field_ising(4, inputs=[0], readout=[3])
    rng = np.random.default_rng(0)
    theta = 0.4 * rng.standard_normal(model.num_trainable)
    theta[6:10] = [0.8, 0.7, 0.9, 0.6]
    return model, theta, np.array([[0.7], [-0.4], [0.2]]), -np.ones((3, 1))


def test_states_and_gradients_are_compared_with_exact_ones(network):
    model, theta, x, y = network
    ramp = qep.Ramp(time=3, steps=9)
    settle = qep.Prepared(ramp)
    report = qep.fidelity_report(*network, equilibrium=settle)
    states = ramp.states(
        model.operators, ramp.angles(model.operators, model.coefficients(theta, x))
    )
    for b, row in enumerate(model.coefficients(theta, x)):
        h = reference.total(model.operators, row)
        energies, vectors = np.linalg.eigh(h)
        mean = np.vdot(states[b], h @ states[b]).real
        square = np.vdot(h @ states[b], h @ states[b]).real
        overlap = abs(np.vdot(vectors[:, 0], states[b])) ** 2
        np.testing.assert_allclose(report.fidelity[b], overlap, atol=1e-8)
        np.testing.assert_allclose(report.energy_error[b], mean - energies[0])
        np.testing.assert_allclose(report.variance[b], square - mean**2)
        np.testing.assert_allclose(report.gap[b], energies[1] - energies[0], rtol=0.01)
        where = model, theta, x[b], y[b : b + 1]
        found = qep.gradient(*where, equilibrium=settle).values
        slower = qep.Prepared(qep.Ramp(time=6, steps=18))
        doubled = qep.gradient(*where, equilibrium=slower).values
        exact = qep.gradient(*where).values
        cosine = found @ exact / np.linalg.norm(found) / np.linalg.norm(exact)
        np.testing.assert_allclose(report.cosine[b], cosine)
        np.testing.assert_allclose(
            report.norm_ratio[b], np.linalg.norm(found) / np.linalg.norm(exact)
        )
        np.testing.assert_allclose(
            report.doubling[b],
            np.linalg.norm(found - doubled) / np.linalg.norm(doubled),
        )
    assert (report.fidelity < 0.999).all()
    assert len(str(report).splitlines()) == 5


def test_a_longer_ramp_is_better_and_vqe_better_still(network):
    reports = [
        qep.fidelity_report(*network, equilibrium=qep.Prepared(preparation))
        for preparation in (
            qep.Ramp(time=2, steps=6),
            qep.Ramp(time=12, steps=36),
            qep.Variational("exact"),
        )
    ]
    medians = [np.median(report.fidelity) for report in reports]
    assert medians[0] < 0.95 < 0.99 < medians[1] < medians[2]
    errors = [np.median(1 - report.cosine) for report in reports]
    assert errors[0] > 10 * errors[2]
    assert np.median(reports[0].doubling) > 3 * np.median(reports[1].doubling)
    assert np.isnan(reports[2].doubling).all()


def test_the_suggested_nudge_is_close_to_the_best():
    """The rule against measured errors over a grid of nudges."""
    model = qep.models.transverse_field_ising(4, inputs=[0], readout=[3])
    rng = np.random.default_rng(5)
    theta = 0.3 * rng.standard_normal(model.num_trainable)
    theta[6:10] = 1.0
    where = model, theta, [[0.5]], [[-0.6]]
    exact = qep.gradient(*where, nudge=qep.Nudge.infinitesimal()).values
    shots = 2000
    suggested = qep.suggest_nudge(*where, shots, seed=1).reach

    def error(beta):
        nudge = qep.Nudge.centered(beta).normalized()
        found = [
            qep.gradient(
                *where, equilibrium=qep.Sampled(shots), nudge=nudge, seed=s
            ).values
            for s in range(60)
        ]
        return np.sqrt(((np.array(found) - exact) ** 2).sum(axis=1).mean())

    grid = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.9])
    errors = np.array([error(beta) for beta in grid])
    assert errors.max() > 2 * errors.min()
    assert error(suggested) < 1.35 * errors.min()


def test_the_suggestion_does_not_depend_on_the_slope():
    """A target close by is as well learnt from as one far off."""
    model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
    theta = np.random.default_rng(2).normal(0.0, 0.5, model.num_trainable)
    x = [[0.5]]
    p = qep.predict(model, theta, x)
    near, far = (
        qep.suggest_nudge(model, theta, x, p - away, 100_000, seed=0)
        for away in (0.05, 1.0)
    )
    assert near.is_normalized
    assert near.reach == pytest.approx(far.reach, rel=0.3)


def test_the_suggestion_stays_below_the_gap():
    model = qep.models.transverse_field_ising(3, edges="chain", readout=[2])
    theta = [2.0, 2.0, 0.4, 0.4, 0.4, 0.05, 0.05, 0.05]
    beta = qep.suggest_nudge(model, theta, [[]], [[-1.0]], 50, seed=0).reach
    gap = reference.gap(
        np.linalg.eigvalsh(
            reference.total(model.operators, model.coefficients(theta, [[]])[0])
        )
    )
    assert gap < 0.6
    assert beta < 0.5 * gap


def test_a_thermal_suggestion_knows_the_temperature_and_no_gap():
    """A ferromagnet's doublet is degenerate, its thermal state as smooth as any."""
    model = qep.models.transverse_field_ising(3, edges="chain", readout=[2])
    theta = [2.0, 2.0, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0]
    how = {"loss": qep.cost_observable, "seed": 0}
    betas = [
        qep.suggest_nudge(
            model, theta, [[]], [[-1.0]], 10, equilibrium=qep.Thermal(t), **how
        ).reach
        for t in (0.05, 5.0)
    ]
    caps = [
        qep.Thermal(t)(model.operators, model.coefficients(theta, [[]])).gap[0] / 2
        for t in (0.05, 5.0)
    ]
    row = model.coefficients(theta, [[]])[0]
    doublet = reference.gap(np.linalg.eigvalsh(reference.total(model.operators, row)))
    assert doublet / 2 < 0.02 < betas[0] <= caps[0] < 0.1
    assert 0.6 < betas[1] <= caps[1]


def test_shots_of_a_circuit_can_be_suggested_for(network):
    from qiskit_aer.primitives import SamplerV2

    settle = qep.Prepared(qep.Ramp(2, 6), lambda seed: SamplerV2(seed=seed), shots=10)
    nudge = qep.suggest_nudge(*network, 500, equilibrium=settle, seed=3)
    assert 0.02 < nudge.reach < 1
    with pytest.raises(ValueError, match="shots should be at least 1, got 0"):
        qep.suggest_nudge(*network, 0)


def test_a_report_costs_two_steps(network):
    rehearsal = Rehearsal()
    settle = qep.Prepared(qep.Ramp(1, 2), rehearsal, shots=10)
    qep.fidelity_report(*network, equilibrium=settle)
    assert len(rehearsal.jobs) == 4  # of three samples: free and nudged, and doubled


def test_the_states_are_those_whose_gradient_is_measured(network, monkeypatch):
    """A measured VQE is not searched again, and the exact state is settled once."""
    calls = []
    settle = qep.Exact.__call__

    def counted(self, operators, coefficients, **how):
        calls.append(len(coefficients))
        return settle(self, operators, coefficients, **how)

    monkeypatch.setattr(qep.Exact, "__call__", counted)
    model, theta, x, y = network
    vqe = qep.Variational("shots", qep.Ramp(1, 1), lambda fun, x0: Found(x0))
    circuits = qep.Prepared(vqe, qep.AerSampler, shots=500)
    where = model, theta, x, y
    searched = qep.fidelity_report(*where, equilibrium=circuits, seed=1)
    assert calls == [3, 6]  # of three samples: free, and nudged twice
    plain = qep.Prepared(qep.Ramp(1, 1))
    ramped = qep.fidelity_report(*where, equilibrium=plain, seed=1)
    np.testing.assert_allclose(searched.fidelity, ramped.fidelity)
    assert (ramped.fidelity < 0.99).all()


class Found:
    """What an optimizer returns that stays where it begins."""

    def __init__(self, x):
        self.x = x
