"""Lindblad: Bloch's equations, QuTiP, Gibbs, and what is left of the theorem."""

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference
from qiskit_qep.equilibria import _generators

MODEL = qep.models.transverse_field_ising(3, inputs=[0, 1], readout=[2])
THETA = MODEL.initial(np.random.default_rng(0))
X, Y = np.array([[1.0, -1.0], [0.5, 1.0]]), np.array([[1.0], [-1.0]])
BATH = qep.Lindblad(temperature=0.5)
LOSSY = qep.Lindblad(qep.jumps.damping(1.0), temperature=0.5)
LIMIT = {"nudge": qep.Nudge.infinitesimal()}


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def own_slope(settle, x=X, y=Y):
    """Differentiate the loss of what it predicts itself."""

    def loss(theta):
        p = qep.predict(MODEL, theta, x, equilibrium=settle)
        return ((p - y) ** 2).sum(axis=1).mean()

    return reference.five_point(loss, THETA)


# --- The steady state ---------------------------------------------------------------


@pytest.mark.parametrize("excited", [0.0, 0.3])
def test_one_qubit_obeys_the_bloch_equations(excited):
    """T_1 and T_2 of every kind of noise, by three linear equations."""
    damped, dephased, depolarized = 2.0, 0.3, 0.4
    noise = (
        qep.jumps.damping(damped, excited=excited)
        + qep.jumps.dephasing(dephased)
        + qep.jumps.depolarizing(depolarized)
    )
    for field in ([0.5, 0.0, 0.0], [0.6, -0.2, 0.9]):
        turning = 2 * np.cross(field, np.eye(3)).T  # H = f . sigma: dr/dt = 2 f x r
        across, along = 0.5 * damped + dephased + depolarized, damped + depolarized
        matrix = turning - np.diag([across, across, along])
        bloch = np.linalg.solve(matrix, [0, 0, -damped * (1 - 2 * excited)])
        rows = np.array([field])
        phase = qep.Lindblad(noise)([SparsePauliOp(a) for a in "XYZ"], rows)
        assert np.abs(bloch).max() > 0.1
        np.testing.assert_allclose(phase.values[0], bloch, atol=1e-12)


def bath(h, temperature, rate, couplings):
    """Write a bath's jumps and coherent term level by level."""
    energies, v = np.linalg.eigh(h)
    jumps, turn = [], np.zeros(h.shape, complex)
    for s in couplings:
        jump = v.conj().T @ s @ v * np.sqrt(rate / 2)
        for m, n in np.ndindex(h.shape):
            jump[m, n] /= 1 + np.exp((energies[m] - energies[n]) / (2 * temperature))
        decay = jump.conj().T @ jump
        for m, n in np.ndindex(h.shape):
            change = (energies[m] - energies[n]) / (4 * temperature)
            turn[m, n] += 0.5j * np.tanh(change) * decay[m, n]
        jumps.append(v @ jump @ v.conj().T)
    return jumps, v @ turn @ v.conj().T


def test_qutip_settles_to_the_same_state():
    import qutip  # takes 3 s

    size, rng = 3, np.random.default_rng(3)
    pair = SparsePauliOp(["XXI", "IYZ"], [0.3, 0.4j])
    settle = qep.Lindblad((*qep.jumps.damping(0.4), pair), temperature=0.6, rate=0.8)
    operators, row = reference.general(rng, size)
    h = reference.total(operators, row)
    each = [
        [reference.matrix(reference.at(a, [q], size)).toarray() for a in "XYZ"]
        for q in range(size)
    ]
    jumps, turn = bath(h, 0.6, 0.8, [s for group in each for s in group])
    jumps += [np.sqrt(0.4) / 2 * (x + 1j * y) for x, y, _ in each]
    jumps.append(pair.to_matrix())
    rho = qutip.steadystate(qutip.Qobj(h + turn), [qutip.Qobj(j) for j in jumps])
    rho = rho.full()
    values = [(reference.matrix(op) @ rho).trace().real for op in operators]
    phase = settle(operators, row[None])
    assert np.abs(values).max() > 0.3
    np.testing.assert_allclose(phase.values[0], values, atol=1e-10)
    assert phase.residual[0] < 1e-11


@pytest.mark.parametrize("temperature", [0.01, 0.3, 20.0])
def test_a_bath_alone_leads_to_the_gibbs_state(temperature):
    """Whatever its rate is, and where levels are degenerate, too."""
    rows = MODEL.coefficients(THETA, X)
    rows[1, :3] = rows[1, 6:9] = 0.0  # three spins alike
    rows[1, 3:6], rows[1, 9:] = 1.0, 0.0
    for rate in (0.01, 10.0):
        settle = qep.Lindblad(temperature=temperature, rate=rate)
        phase = settle(MODEL.operators, rows)
        found = phase.values
        gibbs = [reference.thermal(MODEL.operators, row, temperature) for row in rows]
        np.testing.assert_allclose(found, gibbs, atol=1e-11)
        assert np.abs(found).max() > 0.01
        gap = qep.Thermal(temperature)(MODEL.operators, rows).gap
        np.testing.assert_allclose(phase.gap, gap, atol=1e-12)


def test_shots_are_those_of_the_mixed_state():
    rows = MODEL.coefficients(THETA, X)
    exact = LOSSY(MODEL.operators, rows).values
    rng = [np.random.default_rng(b) for b in range(2)]
    drawn = qep.Sampled(4000, LOSSY)(MODEL.operators, rows, rng=rng)
    assert drawn.shots == 8000
    pull = (drawn.values - exact)[drawn.stds > 0] / drawn.stds[drawn.stds > 0]
    assert np.abs(pull).max() < 5
    assert 0.5 < pull.std() < 1.5


def test_every_row_follows_the_response():
    rng = np.random.default_rng(5)
    rows = MODEL.coefficients(THETA, X)
    direction = rng.standard_normal(rows.shape)
    for settle in (LOSSY, qep.Lindblad(qep.jumps.damping(0.5))):
        phase = settle(MODEL.operators, rows)
        found = settle.response(phase, MODEL.operators, rows, direction)
        near = [
            settle(MODEL.operators, rows + n * 1e-3 * direction).values
            for n in (1, -1, 2, -2)
        ]
        slope = (8 * (near[0] - near[1]) - (near[2] - near[3])) / 12e-3
        assert np.abs(slope).max() > 0.1
        np.testing.assert_allclose(found, slope, atol=1e-8)


# --- What is left of the theorem ----------------------------------------------------


def test_in_a_bath_nudging_measures_the_gradient():
    found = qep.gradient(MODEL, THETA, X, Y, equilibrium=BATH, **LIMIT)
    slope = own_slope(BATH)
    assert np.abs(slope).max() > 0.1
    np.testing.assert_allclose(found.values, slope, atol=1e-8)


def test_with_damping_it_measures_something_else():
    found = qep.gradient(MODEL, THETA, X, Y, equilibrium=LOSSY, **LIMIT)
    assert 0 < cosine(found.values, own_slope(LOSSY)) < 0.9


def test_with_nothing_but_strong_damping_it_measures_minus_the_gradient():
    r"""All decays before it turns: d<A>/dB ~ <i[B, A]> / gamma is antisymmetric."""
    for rate, least in ((10.0, 0.98), (100.0, 0.9998)):
        settle = qep.Lindblad(qep.jumps.damping(rate))
        found = qep.gradient(MODEL, THETA, X[:1], Y[:1], equilibrium=settle, **LIMIT)
        assert cosine(found.values, own_slope(settle, X[:1], Y[:1])) < -least


# --- Reciprocity --------------------------------------------------------------------


@pytest.mark.parametrize("settle", [qep.Exact(), qep.Thermal(0.5), BATH])
def test_stationary_states_are_reciprocal(settle):
    found = qep.reciprocity(MODEL, THETA, X, equilibrium=settle, step=0.01)
    assert np.abs(found.nudged).max() > 0.1
    assert found.asymmetry.max() < 1e-3  # of the stencil: its square is that of a step
    halved = qep.reciprocity(MODEL, THETA, X, equilibrium=settle, step=0.005)
    np.testing.assert_allclose(found.asymmetry / halved.asymmetry, 4.0, rtol=0.1)


def test_a_step_that_is_large_against_the_gap_is_warned_about():
    model = qep.Model(["Z", "X"], readout=["X"])
    with pytest.warns(UserWarning, match="not small against the gap 0.22 of sample 0"):
        coarse = qep.reciprocity(model, [0.05, -0.1], [], step=0.05)
    fine = qep.reciprocity(model, [0.05, -0.1], [], step=0.005)
    assert fine.asymmetry[0] < 0.02 * coarse.asymmetry[0]


def test_its_two_halves_are_the_nudge_rule_and_the_gradient():
    found = qep.reciprocity(MODEL, THETA, X, equilibrium=LOSSY, step=1e-3)
    assert found.nudged.shape == found.shifted.shape == (2, 11, 1)
    slope = 2 * (qep.predict(MODEL, THETA, X, equilibrium=LOSSY) - Y)
    nudged, shifted = (
        np.einsum("bki,bi->k", half[:, :9], slope) / 2
        for half in (found.nudged, found.shifted)
    )
    measured = qep.gradient(MODEL, THETA, X, Y, equilibrium=LOSSY, **LIMIT)
    np.testing.assert_allclose(nudged, measured.values, atol=1e-5)
    np.testing.assert_allclose(shifted, own_slope(LOSSY), atol=1e-5)
    errors = np.linalg.norm((found.nudged - found.shifted)[:, :, 0], axis=1)
    np.testing.assert_allclose(found.bound, errors)  # one readout: it is reached
    assert found.asymmetry.min() > 0.1


def test_a_ramp_that_is_too_short_is_not_reciprocal():
    short, long = (
        qep.reciprocity(MODEL, THETA, X, equilibrium=qep.Prepared(qep.Ramp(*how)))
        for how in ((1, 3), (16, 48))
    )
    assert (short.asymmetry > 5 * long.asymmetry).all()


def test_noise_says_what_shots_make_of_it():
    ratios = []
    for seed in range(20):
        how = {"equilibrium": qep.Sampled(200), "seed": seed}
        found = qep.reciprocity(MODEL, THETA, X, **how)
        ratios.append(found.asymmetry / found.noise)
    assert 0.9 < np.sqrt(np.mean(np.square(ratios))) < 1.1
    assert str(found).splitlines()[0].split() == [
        "sample",
        "asymmetry",
        "its",
        "noise",
        "bound",
    ]
    assert len(str(found).splitlines()) == 3


# --- What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: qep.Lindblad(), "nothing leads to a steady state"),
        (lambda: qep.Lindblad(qep.jumps.dephasing(1.0)), "maximally mixed.*add a temp"),
        (lambda: qep.Lindblad(qep.jumps.depolarizing(1.0)), "maximally mixed"),
        (lambda: qep.Lindblad(temperature=0.0), "temperature should .* got 0.0"),
        (lambda: qep.Lindblad(temperature=1.0, rate=-1.0), "rate should .* got -1.0"),
        (lambda: qep.jumps.damping(0.0), "rate should .* got 0.0"),
        (lambda: qep.jumps.damping(1.0, excited=1.5), "excited should .* got 1.5"),
        (lambda: qep.jumps.dephasing(np.nan), "rate should .* got nan"),
        (lambda: qep.reciprocity(MODEL, THETA, X, step=0.0), "step should .* got 0.0"),
    ],
)
def test_bad_numbers_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize("rate", [1e-30, 1e-12, 1.0, 1e9])
def test_jumps_are_judged_by_their_own_size(rate):
    """Damping in small units is no dephasing, and dephasing in large ones is none."""
    assert len(qep.Lindblad(qep.jumps.damping(rate)).jumps) == 1
    with pytest.raises(ValueError, match="maximally mixed"):
        qep.Lindblad(qep.jumps.dephasing(rate) + qep.jumps.depolarizing(rate))


def test_a_rate_that_overflows_is_refused():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="not as large as"):
        qep.Lindblad(qep.jumps.damping(1e300))(
            MODEL.operators, MODEL.coefficients(THETA, X)
        )


def test_jumps_that_are_no_operators_are_refused():
    with pytest.raises(TypeError, match=r"jump 0 should be a SparsePauliOp, got 'X'"):
        qep.Lindblad(("X",))


def test_what_cannot_be_settled_is_refused():
    large = qep.models.transverse_field_ising(8, edges="chain")
    with pytest.raises(ValueError, match=r"up to 7 qubits, got 8; use Prepared"):
        BATH(large.operators, large.coefficients(np.ones(23), []))
    wide = qep.Lindblad((SparsePauliOp(["XX", "YI"], [1.0, 1j]),))
    rows = MODEL.coefficients(THETA, X)
    with pytest.raises(ValueError, match=r"or on all 3, got one on 2"):
        wide(MODEL.operators, rows)


def test_more_than_one_steady_state_is_refused():
    damped = SparsePauliOp(["IX", "IY"], [0.5, 0.5j])  # qubit 0 only
    settle = qep.Lindblad((damped,))
    operators = [SparsePauliOp(a) for a in ("XI", "IX", "ZZ")]
    assert settle(operators, np.array([[0.3, 0.5, 0.4]])).residual < 1e-9  # coupled
    with pytest.raises(ValueError, match=r"sample 1 has several steady states"):
        settle(operators, np.array([[0.3, 0.5, 0.4], [0.3, 0.5, 0.0]]))


def test_what_did_not_settle_is_warned_of(monkeypatch):
    monkeypatch.setattr(_generators, "ROUNDS", 1)
    monkeypatch.setattr(_generators, "RESTART", 3)
    with pytest.warns(UserWarning, match=r"sample 0 did not settle: \|d rho / dt\|"):
        LOSSY(MODEL.operators, MODEL.coefficients(THETA, X[:1]))
