"""Oscillators on qubits: the matrices, convergence to Gaussian(), circuits."""

import numpy as np
import pytest
from qiskit.primitives import StatevectorSampler

import mechanics
import qiskit_qep as qep

SCALE = [1.3, 1.7, 1.0]
THETA, X, Y = [0.8, 0.5], [[0.6]], [[1.0, 0.2]]
INFINITESIMAL = qep.Nudge.infinitesimal()


def oscillators():
    """Return two oscillators, one of them tied to a clamped atom."""
    return qep.models.oscillator_network(
        [1.0, 1.5, 1.0],
        "chain",
        anchors=[1.0, 0.6, 0.0],
        clamped=[2],
        readout=[0, "r_1 r_1"],
    )


def grid(points):
    """Return them on a grid that holds as much in r as in p, about a mean mu."""
    extent = np.sqrt(np.pi * points / 2 / np.array(SCALE))
    return qep.models.position_grid(oscillators(), points, extent=extent.tolist())


def fock(levels):
    return qep.models.fock(oscillators(), levels, scale=SCALE)


def exact(model, equilibrium):
    return qep.gradient(
        model, THETA, X, Y, equilibrium=equilibrium, nudge=INFINITESIMAL
    )


def test_the_fock_encoding_is_the_operators_between_the_lowest_states():
    labels = ["r_0", "p_1", "r_0 r_0", "p_1 p_1", "r_0 r_1", "r_1 p_0", "r_0 p_0", ""]
    forms = [qep.QuadraticForm({label: 1.0}, 2) for label in labels]
    encoded = qep.models.fock(qep.Model(forms), 4)
    for form, written in zip(forms, encoded.trainable, strict=True):
        matrix = mechanics.fock(form, 4)
        assert np.abs(matrix).max() > 0.4
        np.testing.assert_allclose(written.to_matrix(), matrix, atol=1e-12)


def test_the_scale_is_the_width_of_the_basis():
    """At mu = m omega the basis is that of the oscillator, and H diagonal."""
    model = qep.models.oscillator_network([2.0], anchors=4.5)
    encoded = qep.models.fock(model, 4, scale=3.0)
    np.testing.assert_allclose(
        encoded.fixed.to_matrix(), np.diag(1.5 * (np.arange(4) + 0.5)), atol=1e-12
    )


def test_the_potential_on_a_grid_is_diagonal_in_pairs_of_qubits():
    encoded = grid(8)
    for spring in (*encoded.trainable, *encoded.readout):
        assert not spring.paulis.x.any()
        assert spring.paulis.z.sum(axis=1).max() <= 2
    assert encoded.fixed.paulis.x.any()  # the momenta


@pytest.mark.parametrize(
    ("make", "sizes", "last"), [(fock, (2, 4, 8), 1e-5), (grid, (4, 8, 16), 1e-6)]
)
def test_the_gradient_converges_to_that_of_gaussian(make, sizes, last):
    expected = exact(oscillators(), qep.Gaussian())
    assert expected.norm > 0.1
    errors = []
    for size in sizes:
        found = exact(make(size), qep.Exact())
        pairs = [(found.values, expected.values), (found.inputs, expected.inputs)]
        pairs.append((found.prediction, expected.prediction))
        errors.append(max(np.abs(a - b).max() for a, b in pairs))
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 10
    assert errors[2] < last


def test_the_fock_energy_is_an_upper_bound():
    def energy(model, equilibrium):
        rows = model.coefficients(THETA, X)
        return (rows * equilibrium(model.operators, rows).values).sum()

    true = energy(oscillators(), qep.Gaussian())
    excess = [energy(fock(levels), qep.Exact()) - true for levels in (2, 4, 8)]
    assert excess[0] > 100 * excess[1] > 1000 * excess[2] > 0


def test_clamped_atoms_take_no_qubits():
    assert fock(4).operators[0].num_qubits == 4
    assert grid(8).operators[0].num_qubits == 6


def test_a_vqe_finds_the_gradient_in_both_encodings():
    nudge = qep.Nudge.centered(0.05)
    vqe = qep.Prepared(qep.Variational("exact"))
    for model in (fock(4), grid(4)):
        expected = qep.gradient(model, THETA, X, Y, nudge=nudge)
        found = qep.gradient(model, THETA, X, Y, equilibrium=vqe, nudge=nudge)
        assert expected.norm > 0.1
        np.testing.assert_allclose(found.values, expected.values, atol=1e-3)
        np.testing.assert_allclose(found.prediction, expected.prediction, atol=1e-5)


def test_a_ramp_on_the_grid_finds_the_gradient_from_shots():
    model, nudge = grid(4), qep.Nudge.centered(0.1)
    expected = qep.gradient(model, THETA, X, Y, nudge=nudge)
    noiseless = qep.Prepared(qep.Ramp())
    found = qep.gradient(model, THETA, X, Y, equilibrium=noiseless, nudge=nudge)
    assert found.values @ expected.values > 0.999 * found.norm * expected.norm

    def sampler(seed):
        return StatevectorSampler(seed=np.random.default_rng(seed))

    ramp = qep.Prepared(qep.Ramp(), sampler, shots=20_000)
    shots = qep.gradient(model, THETA, X, Y, equilibrium=ramp, nudge=nudge, seed=0)
    std = np.sqrt(shots.stds**2 + shots.slope_stds**2)
    assert (np.abs(shots.values - found.values) < 5 * std).all()
    assert shots.norm > 3 * shots.norm_std


@pytest.mark.parametrize("make", [fock, grid])
def test_a_ramp_from_single_oscillators_keeps_the_ground_state(make):
    """From fields along X it loses it, the more the finer the basis."""
    model, nudge = make(8), qep.Nudge.centered(0.05)

    def report(driver):
        ramp = qep.Prepared(qep.Ramp(16, 48, schedule="linear", driver=driver))
        return qep.fidelity_report(model, THETA, X, Y, equilibrium=ramp, nudge=nudge)

    own, fields = report(model.fixed), report(None)
    assert own.fidelity[0] > 0.996 > 0.95 > fields.fidelity[0]
    assert own.cosine[0] > 0.999
    assert abs(own.norm_ratio[0] - 1) < 0.2
    assert own.doubling[0] < 0.2 < 1 < fields.doubling[0]


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda: fock(3), ValueError, r"a power of two, got 3"),
        (lambda: grid(1), ValueError, r"a power of two, got 1"),
        (
            lambda: qep.models.fock(oscillators(), 4, scale=[1.0, 2.0]),
            ValueError,
            r"scale should be one or 3 positive numbers, got \[1.0, 2.0\]",
        ),
        (
            lambda: qep.models.position_grid(oscillators(), 4, extent=-1.0),
            ValueError,
            r"extent should be .*got -1\.0",
        ),
        (
            lambda: qep.models.fock(qep.Model(["ZZ"]), 4),
            TypeError,
            r"operator 0 is a SparsePauliOp.*QuadraticForm",
        ),
        (
            lambda: qep.models.fock(qep.Model([qep.QuadraticForm({"": 1.0}, 1)]), 4),
            ValueError,
            r"no mode occurs in Model",
        ),
    ],
)
def test_what_cannot_be_written_on_qubits_is_refused(make, error, complaint):
    with pytest.raises(error, match=complaint):
        make()
