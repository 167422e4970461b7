"""Every spin alone in its field: the network with J = 0, in closed form."""

import numpy as np
import pytest

import qiskit_qep as qep
from qiskit_qep.equilibria.uncoupled import Uncoupled

SLOPE = {"nudge": qep.Nudge.infinitesimal(), "loss": qep.cross_entropy(4.0)}


@pytest.fixture
def network():
    """A network, its theta with and without couplings, and a few samples."""
    spins = range(4)
    ising = qep.models.transverse_field_ising(4, inputs=spins, readout=spins)
    model = qep.linear_inputs(ising, 3, scale=1.0)
    rng = np.random.default_rng(7)
    theta = model.initial(rng) + 0.3 * rng.standard_normal(model.num_trainable)
    without = theta.copy()
    without[:6] = 0.0
    return model, theta, without, rng.standard_normal((5, 3)), rng.integers(4, size=5)


def test_it_is_the_exact_network_with_all_couplings_zero(network):
    model, theta, without, x, _ = network
    alone = qep.predict(model, theta, x, equilibrium=Uncoupled())
    np.testing.assert_allclose(alone, qep.predict(model, without, x), atol=1e-9)
    assert np.abs(alone - qep.predict(model, theta, x)).max() > 0.1  # J did matter


def test_its_gradient_is_the_exact_one_and_leaves_couplings_alone(network):
    model, theta, without, x, y = network
    alone = qep.gradient(model, theta, x, y, equilibrium=Uncoupled(), **SLOPE)
    exact = qep.gradient(model, without, x, y, **SLOPE)
    assert np.linalg.norm(exact.values[6:]) > 0.1
    np.testing.assert_allclose(alone.values[6:], exact.values[6:], atol=1e-8)
    np.testing.assert_allclose(alone.inputs, exact.inputs, atol=1e-8)
    assert not alone.values[:6].any()
    assert alone.loss == pytest.approx(exact.loss, abs=1e-9)
    assert alone.gap == pytest.approx(exact.gap, abs=1e-6)


def test_it_is_the_closed_form():
    model = qep.models.transverse_field_ising(1, readout=[0])
    h, b = 0.7, 1.3
    (p,) = qep.predict(model, [h, b], [], equilibrium=Uncoupled())
    assert p == pytest.approx(b / np.sqrt(b**2 + h**2), abs=1e-12)


def test_every_pauli_and_the_identity_are_measured():
    model = qep.Model(["XI", "YI", "ZI", "II", "XY"], readout=["IY"])
    theta = np.array([2.0, -3.0, 6.0, 1.0, 5.0])
    phase = Uncoupled()(model.operators, model.coefficients(theta, [], 0.5))
    expected = [[-2 / 7, 3 / 7, -6 / 7, 1.0, 0.0, -1.0]]
    np.testing.assert_allclose(phase.values, expected, atol=1e-12)
    np.testing.assert_allclose(phase.gap, [1.0])  # the second qubit's, 2 |f| = 2 * 0.5


def test_a_spin_without_a_field_points_nowhere():
    model = qep.Model(["Z"], readout=["X"])
    assert qep.predict(model, [0.0], [], equilibrium=Uncoupled()) == 0.0
    g = qep.gradient(
        model,
        [0.0],
        [],
        [[1.0]],
        equilibrium=Uncoupled(),
        nudge=qep.Nudge.infinitesimal(),
    )
    assert np.isfinite(g.values).all()


def test_complex_coefficients_are_refused(network):
    model, theta, _, x, _ = network
    rows = model.coefficients(theta, x).astype(complex)
    with pytest.raises(TypeError, match="real coefficients, got complex"):
        Uncoupled()(model.operators, rows)
