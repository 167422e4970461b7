"""Exact: eigenstates, gaps, responses and complex nudges, against all eigenvectors."""

import re
from dataclasses import replace

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference
from qiskit_qep.equilibria import exact

DEGENERATE = r"sample {} .*degenerate: gap \S+, .*add fields"
DENSE, LANCZOS = 3, 6  # numbers of qubits on either side of exact.DENSE_QUBITS


def settle(operators, row, **how):
    return qep.Exact(**how)(operators, np.atleast_2d(row))


def check_levels(operators, row, levels):
    """Compare levels with all eigenvectors: energy, values, gap, residual."""
    h = reference.total(operators, row)
    energies, vectors = np.linalg.eigh(h)
    scale = max(1.0, np.abs(row).max())
    for n in levels:
        phase = settle(operators, row, level=n)
        assert abs(phase.values[0] @ row - energies[n]) < 1e-9 * scale
        gap = reference.gap(energies, n)
        assert gap - 1e-9 < phase.gap[0] < 1.05 * gap + 1e-9  # an upper bound, and near
        v = phase.state[0][0]
        assert abs(np.linalg.norm(v) - 1) < 1e-12
        residual = np.linalg.norm(h @ v - energies[n] * v)
        assert residual < 1e-10 + 1e-12 * scale
        assert abs(phase.residual[0] - residual) < 1e-12 * scale
        values = reference.expectations(operators, vectors[:, n], vectors[:, n]).real
        assert np.abs(values).max() > 0.1
        # The error of a value is the residual (1e-10) over the gap, times |A|.
        np.testing.assert_allclose(phase.values[0], values, atol=1e-9 * scale / gap)


def test_both_solvers_are_tested():
    assert DENSE <= exact.DENSE_QUBITS < LANCZOS


@pytest.mark.parametrize("make", [reference.ising, reference.general])
@pytest.mark.parametrize("num_qubits", range(1, 8))
def test_levels_are_those_of_the_matrix(num_qubits, make):
    rng = np.random.default_rng(num_qubits)
    operators, row = reference.gapped(rng, make, num_qubits)
    check_levels(operators, row, range(min(4, 2**num_qubits)))


@pytest.mark.parametrize("num_qubits", [8, 9, 10])
def test_levels_of_larger_registers(num_qubits):
    operators, row = reference.ising(np.random.default_rng(num_qubits), num_qubits)
    check_levels(operators, row, range(4))


# --- Small and no gaps --------------------------------------------------------------


def chain(J, h):
    """Return an open chain - sum J ZZ - sum h X: operators and coefficients."""
    model = qep.models.transverse_field_ising(len(h), edges="chain", bias=False)
    return model.operators, np.array([*J, *h])


def free_fermions(J, h):
    """Solve the chain by Jordan and Wigner: energy, gap and the values of -ZZ, -X.

    H is quadratic in fermions whose energies are twice the singular values of a
    bidiagonal matrix; the values are the derivatives of minus their sum.
    """
    m = np.diag(h) + np.diag(J, 1)
    u, s, vt = np.linalg.svd(m)
    slope = -u @ vt
    return -s.sum(), 2 * s.min(), np.append(np.diag(slope, 1), np.diag(slope))


def test_the_gap_that_the_uniform_state_would_miss():
    # The first excited state is odd, |+> is even: a Krylov space of |+> reads 1.53.
    operators, row = chain(np.ones(5), np.full(6, 0.3))
    true = reference.gap(np.linalg.eigvalsh(reference.total(operators, row)))
    assert true == pytest.approx(0.0013268, abs=5e-8)
    with pytest.warns(UserWarning, match=DEGENERATE.format(0)):
        phase = settle(operators, row)
    assert true - 1e-9 < phase.gap[0] < 1.01 * true
    np.testing.assert_allclose(
        phase.values[0], free_fermions(np.ones(5), np.full(6, 0.3))[2], atol=1e-7
    )


@pytest.mark.parametrize(
    "theta",
    [
        (-0.8, -0.8, -1.0, 0.8, -1.0, -0.4, 0.5, -1.1, -0.1),
        (1.0, 0.2, -0.5, 1.3, 0.2, -0.2, -1.3, -0.3, -1.7),
    ],
)
def test_a_small_gap_that_the_random_start_hardly_sees(theta):
    # 2 of 3300 random chains; their gaps once read 20 and 6 times too large.
    operators, row = chain(theta[:4], theta[4:])
    true = free_fermions(theta[:4], theta[4:])[1]
    phase = settle(operators, row)
    assert true - 1e-9 < phase.gap[0] < 1.05 * true


@pytest.mark.parametrize("num_spins", [10, 11, 12])
@pytest.mark.parametrize("size", [1.0, 5.0])
def test_disordered_chains_are_free_fermions(num_spins, size):
    rng = np.random.default_rng(num_spins)
    J, h = (
        size * rng.uniform(0.5, 1.0, num_spins),
        size * rng.uniform(0.3, 0.9, num_spins),
    )
    operators, row = chain(J[1:], h)
    energy, gap, values = free_fermions(J[1:], h)
    assert 1e-2 < gap / size < 0.3
    phase = settle(operators, row)
    assert abs(phase.values[0] @ row - energy) < 1e-9 * size
    assert gap - 1e-9 < phase.gap[0] < 1.05 * gap
    np.testing.assert_allclose(phase.values[0], values, atol=1e-8)  # residual / gap


def test_a_gap_of_a_thousandth():
    J, h = np.ones(9), np.full(10, 0.4917)
    operators, row = chain(J, h)
    energy, gap, values = free_fermions(J, h)
    assert 5e-4 < gap < 2e-3
    with pytest.warns(UserWarning, match=DEGENERATE.format(0)):
        phase = settle(operators, row)
    assert abs(phase.values[0] @ row - energy) < 1e-9
    assert gap - 1e-9 < phase.gap[0] < 1.05 * gap
    np.testing.assert_allclose(phase.values[0], values, atol=1e-7)  # residual / gap
    model = qep.models.transverse_field_ising(10, edges="chain", bias=False)
    direction = np.random.default_rng(0).standard_normal(19)
    change = qep.Exact().response(phase, model.operators, row[None], direction[None])[0]
    expected = reference.five_point(
        lambda t: free_fermions(*np.split(row + t[0] * direction, [9]))[2], [0.0], 1e-5
    )[0]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(change, expected, atol=1e-6)  # the state's error / gap


@pytest.mark.parametrize("num_spins", [3, 8, 12])
def test_no_transverse_field_is_a_classical_minimum(num_spins):
    model = qep.models.transverse_field_ising(num_spins)
    theta = np.random.default_rng(num_spins).standard_normal(model.num_trainable)
    num_pairs = num_spins * (num_spins - 1) // 2
    theta[num_pairs : num_pairs + num_spins] = 0.0
    bits = np.arange(2**num_spins)[:, None] >> np.arange(num_spins) & 1
    z = 1.0 - 2.0 * bits
    j, k = np.triu_indices(num_spins, 1)
    terms = np.hstack([-z[:, j] * z[:, k], np.zeros(z.shape), -z])
    energies = terms @ theta
    phase = settle(model.operators, theta)
    best = np.argmin(energies)
    np.testing.assert_allclose(phase.values[0], terms[best], atol=1e-9)
    gap = np.partition(energies, 1)[1] - energies[best]
    assert gap - 1e-9 < phase.gap[0] < 1.05 * gap


@pytest.mark.parametrize("field", [1e-2, 1e-4, 1e-6])
def test_almost_no_transverse_field(field):
    operators, row = reference.ising(np.random.default_rng(1), 8)
    row[28:36] = field
    check_levels(operators, row, [0])


@pytest.mark.parametrize("num_spins", [5, 7, 9])
def test_strong_couplings_as_after_training(num_spins):
    operators, row = reference.ising(
        np.random.default_rng(num_spins), num_spins, size=5.0
    )
    assert np.abs(row).max() > 5
    check_levels(operators, row, [0])


def heisenberg(num_spins, sign):
    """Return the bonds X X + Y Y + Z Z of a ring."""
    ring = [(k, (k + 1) % num_spins) for k in range(num_spins)]
    return [
        SparsePauliOp.from_sparse_list([(2 * s, bond, sign) for s in "XYZ"], num_spins)
        for bond in ring
    ]


DOUBLETS = {
    "ferromagnet without fields, dense": (chain(np.ones(2), np.zeros(3)), 0),
    "ferromagnet without fields": (chain(np.ones(5), np.zeros(6)), 0),
    "odd ring": ((heisenberg(5, 1.0), np.ones(5)), 0),
    "larger odd ring": ((heisenberg(7, 1.0), np.ones(7)), 0),
    "odd ring, dense": ((heisenberg(3, 1.0), np.ones(3)), 0),
    "multiplet of seven": ((heisenberg(6, -1.0), np.ones(6)), 0),
    "excited triplet": ((heisenberg(6, 1.0), np.ones(6)), 1),
    "no Hamiltonian, dense": (chain(np.zeros(2), np.zeros(3)), 0),
    "no Hamiltonian": (chain(np.zeros(5), np.zeros(6)), 0),
}


@pytest.mark.parametrize(("system", "level"), DOUBLETS.values(), ids=DOUBLETS)
def test_degenerate_levels_are_found_and_warned_about(system, level):
    operators, row = system
    energies = np.linalg.eigvalsh(reference.total(operators, row))
    assert reference.gap(energies, level) < 1e-12
    rows = np.vstack([row, row])
    with pytest.warns(UserWarning, match=r"sample 0 \(and 1 more\) is degenerate: gap"):
        phase = qep.Exact(level=level)(operators, rows)
    assert phase.gap.max() < 1e-9
    np.testing.assert_allclose(phase.values @ row, energies[level], atol=1e-9)
    assert phase.residual.max() < 1e-10


@pytest.mark.filterwarnings("ignore:sample 0 is degenerate")
@pytest.mark.parametrize(
    ("num_spins", "sign"), [(5, 1.0), (6, 1.0), (6, -1.0), (7, 1.0)]
)
def test_multiplets_are_counted_in_full(num_spins, sign):
    operators, row = heisenberg(num_spins, sign), np.ones(num_spins)
    energies = np.linalg.eigvalsh(reference.total(operators, row))
    found = [settle(operators, row, level=n).values[0].sum() for n in range(6)]
    np.testing.assert_allclose(found, energies[:6], atol=1e-9)


def test_the_warning_names_the_sample():
    operators, row = chain(np.ones(5), np.zeros(6))
    open_gap = chain(np.ones(5), np.full(6, 2.0))[1]
    with pytest.warns(UserWarning, match=DEGENERATE.format(1)) as caught:
        qep.Exact()(operators, np.vstack([open_gap, row, open_gap]))
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the line that called


# --- Following a state --------------------------------------------------------------


def with_parity(num_spins):
    """Return a chain with the conserved product of all X, and its two lowest levels."""
    operators, row = chain(np.ones(num_spins - 1), np.full(num_spins, 0.8))
    operators = [*operators, SparsePauliOp("X" * num_spins)]
    row = np.append(row, 0.0)
    levels = [reference.settle(operators, row, n) for n in (0, 1)]
    parities = [values[-1] for _, values in levels]
    np.testing.assert_allclose(parities, [1, -1], atol=1e-9)
    energies = levels[0][0]
    return operators, row, energies[1] - energies[0]


@pytest.mark.parametrize("num_spins", [DENSE, LANCZOS])
@pytest.mark.parametrize("level", [0, 1])
def test_a_state_is_followed_through_a_crossing(num_spins, level):
    # A nudge nu on the parity moves even states up and odd ones down: the two lowest
    # cross at nu = gap / 2, and no state changes.
    operators, row, gap = with_parity(num_spins)
    sign = 1 - 2 * level
    nudged = np.tile(row, (2, 1))
    nudged[:, -1] = 0.4 * gap, 0.6 * gap
    free = settle(operators, row, level=level)
    followed = qep.Exact(level=level)(operators, nudged, start=free[[0, 0]])
    np.testing.assert_allclose(followed.values, free.values[[0, 0]], atol=1e-8)
    assert followed.residual.max() < 1e-10
    afresh = qep.Exact(level=level, follow=False)
    with pytest.warns(UserWarning, match=r"sample 1 crossed a level: .*follow=True"):
        fresh = afresh(operators, nudged, start=free[[0, 0]])
    assert fresh.values[:, -1] == pytest.approx([sign, -sign], abs=1e-8)
    for b, n in ((0, level), (1, level)):
        expected = reference.settle(operators, nudged[b], n)[1]
        np.testing.assert_allclose(fresh.values[b], expected, atol=1e-8)
    assert np.abs(fresh.values[1] - followed.values[1]).max() > 0.1


@pytest.mark.parametrize("num_qubits", [DENSE, LANCZOS])
@pytest.mark.parametrize("level", [0, 2])
def test_a_nudge_that_crosses_nothing_is_settled_alike(num_qubits, level):
    rng = np.random.default_rng(7)
    operators, row = reference.gapped(rng, reference.general, num_qubits, level=level)
    nudged = row + 0.05 * rng.standard_normal(len(row)) / np.sqrt(len(row))
    free = settle(operators, row, level=level)
    followed, fresh = (
        qep.Exact(level=level, follow=f)(operators, nudged[None], start=free)
        for f in (True, False)
    )
    assert np.abs(followed.values - free.values).max() > 1e-3, "the nudge moved nothing"
    expected = reference.settle(operators, nudged, level)[1]
    for phase in (followed, fresh):
        np.testing.assert_allclose(phase.values[0], expected, atol=1e-8)


@pytest.mark.parametrize("num_spins", [DENSE, LANCZOS])
def test_a_nudge_may_make_a_real_hamiltonian_complex_and_back(num_spins):
    operators, row = reference.ising(np.random.default_rng(3), num_spins)
    operators = [*operators, SparsePauliOp("Y" + "I" * (num_spins - 1))]
    plain, nudged = np.append(row, 0.0), np.append(row, 0.1)
    free = settle(operators, plain)
    there = qep.Exact()(operators, nudged[None], start=free)
    back = qep.Exact()(operators, plain[None], start=there)
    assert abs(there.values[0, -1]) > 0.01
    expected = reference.settle(operators, nudged)[1]
    np.testing.assert_allclose(there.values[0], expected, atol=1e-8)
    np.testing.assert_allclose(back.values, free.values, atol=1e-8)


def test_a_state_that_is_lost_is_warned_about():
    operators, row = reference.general(np.random.default_rng(2), LANCZOS)
    other = reference.general(np.random.default_rng(3), LANCZOS)[1]
    free = settle(operators, row)
    far = -5 * row + 5 * other[: len(row)]
    message = r"sample 1 could not be followed: .*overlap .* is 0\.\d+; lower beta"
    with pytest.warns(UserWarning, match=message):
        qep.Exact()(operators, np.vstack([row, far]), start=free[[0, 0]])


@pytest.mark.parametrize(("num_spins", "field"), [(DENSE, 0.05), (LANCZOS, 0.3)])
def test_a_followed_state_does_not_repeat_its_degeneracy(num_spins, field):
    operators, row = chain(np.ones(num_spins - 1), np.full(num_spins, field))
    with pytest.warns(UserWarning, match=DEGENERATE.format(0)):
        free = settle(operators, row)
    nudged = qep.Exact()(operators, 1.001 * row[None], start=free)  # and is silent
    assert np.abs(nudged.values - free.values).max() < 1e-3


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("num_qubits", [DENSE, LANCZOS])
def test_a_start_has_as_many_rows_as_the_batch(num_qubits, rows):
    operators, row = reference.ising(np.random.default_rng(0), num_qubits)
    free = settle(operators, row)
    with pytest.raises(ValueError, match=f"start .*3.*{rows}"):
        qep.Exact()(operators, np.tile(row, (3, 1)), start=free[[0] * rows])


# --- Linear response ----------------------------------------------------------------


def y_direction(operators, row):
    """Keep H real and move along single Y fields only: a response through i."""
    is_y = np.array([set(op.paulis[0].to_label()) == {"I", "Y"} for op in operators])
    odd = np.array(
        [any(p.to_label().count("Y") % 2 for p in op.paulis) for op in operators]
    )
    return np.where(odd, 0.0, row), np.where(is_y, 1.0, 0.0)


@pytest.mark.parametrize("kind", ["real", "complex", "real, moved along Y"])
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("num_qubits", [2, DENSE, 5, LANCZOS])
def test_response_is_the_derivative_of_the_values(num_qubits, level, kind):
    rng = np.random.default_rng(17)

    def draw(rng):
        operators, row = reference.general(rng, num_qubits, real=kind == "real")
        direction = rng.standard_normal(len(row))
        if kind == "real, moved along Y":
            row, direction = y_direction(operators, row)
        draw.direction = direction / np.linalg.norm(direction)
        return operators, row

    operators, row = reference.gapped(rng, draw, level=level, bound=0.2)
    direction = draw.direction
    equilibrium = qep.Exact(level=level)
    phase = equilibrium(operators, row[None])
    change = equilibrium.response(phase, operators, row[None], direction[None])
    expected = reference.five_point(
        lambda t: reference.settle(operators, row + t[0] * direction, level)[1], [0.0]
    )[0]
    assert change.shape == (1, len(row))
    assert np.abs(expected).max() > 0.05
    # (step / gap)^4 of the five-point formula, step 1e-3, gap 0.2
    np.testing.assert_allclose(change[0], expected, atol=1e-7)


def test_response_of_every_row_is_its_own():
    rng = np.random.default_rng(4)
    operators, row = reference.gapped(rng, reference.ising, LANCZOS, bound=0.5)
    rows = row + 0.02 * rng.standard_normal((3, len(row)))
    directions = rng.standard_normal((3, len(row)))
    phase = qep.Exact()(operators, rows)
    whole = qep.Exact().response(phase, operators, rows, directions)
    for b in range(3):
        one = slice(b, b + 1)
        alone = qep.Exact().response(phase[one], operators, rows[one], directions[one])
        assert np.abs(alone).max() > 0.1
        np.testing.assert_allclose(whole[one], alone, atol=1e-9)


@pytest.mark.parametrize("num_spins", [2, 5, LANCZOS, 8])
def test_an_eigenstate_does_not_respond_along_its_own_hamiltonian(num_spins):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        operators, row = reference.gapped(rng, reference.ising, num_spins)
        phase = settle(operators, row)
        change = qep.Exact().response(phase, operators, row[None], row[None])
        np.testing.assert_allclose(change, 0.0, atol=1e-9)


@pytest.mark.parametrize("field", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("num_spins", [2, 5, 7])
def test_response_of_an_almost_classical_network(num_spins, field):
    # The readout's image is almost the state itself: little is left to solve for.
    model = qep.models.transverse_field_ising(num_spins, readout=[num_spins - 1])
    first = num_spins * (num_spins - 1) // 2
    tested = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        theta = rng.standard_normal(model.num_trainable)
        theta[first : first + num_spins] = field * rng.uniform(0.5, 1, num_spins)
        row = model.coefficients(theta, [])[0]
        energies, vectors = np.linalg.eigh(reference.total(model.operators, row))
        if reference.gap(energies) < 0.3:
            continue
        direction = np.eye(len(row))[-1]
        ground, others = vectors[:, 0], vectors[:, 1:]
        image = reference.matrix(model.operators[-1]).real @ ground
        pushed = others @ ((others.T @ image) / (energies[0] - energies[1:]))
        expected = 2 * reference.expectations(model.operators, ground, pushed).real
        phase = settle(model.operators, row)
        change = qep.Exact().response(
            phase, model.operators, row[None], direction[None]
        )[0]
        size = np.abs(expected).max()
        assert 0 < size < 10 * field
        # What is solved for is of the size of the field, the state's error is 1e-10.
        np.testing.assert_allclose(change, expected, atol=1e-8 * size / field)
        tested += 1
    assert tested >= 6


@pytest.mark.parametrize(("num_spins", "level"), [(DENSE, 1), (5, 0)])
def test_response_gives_the_gradient_of_the_loss(num_spins, level):
    model = qep.models.transverse_field_ising(
        num_spins, edges="chain", inputs=[0, 1], readout=[num_spins - 1]
    )
    x, y = np.array([[0.3, -0.8], [1.1, 0.5]]), np.array([[1.0], [-1.0]])
    for seed in range(100):
        rng = np.random.default_rng(seed)
        theta = rng.uniform(0.3, 0.9, model.num_trainable)
        theta *= rng.choice([-1, 1], model.num_trainable)  # frustrated, not saturated
        rows = model.coefficients(theta, x)
        levels = [np.linalg.eigvalsh(reference.total(model.operators, r)) for r in rows]
        if min(reference.gap(energies, level) for energies in levels) > 0.3:
            break
    found = qep.gradient(
        model,
        theta,
        x,
        y,
        equilibrium=qep.Exact(level=level),
        nudge=qep.Nudge.infinitesimal(),
    )
    by_theta, by_x = reference.slopes(model, theta, x, y, level=level)
    assert min(np.abs(by_theta).max(), np.abs(by_x).max()) > 1e-3
    # (step / gap)^4 of the five-point formula
    np.testing.assert_allclose(found.values, by_theta, atol=1e-7)
    np.testing.assert_allclose(found.inputs, by_x, atol=1e-7)
    mean = reference.loss(model, theta, x, y, level=level).mean()
    assert found.loss == pytest.approx(mean, abs=1e-9)


# --- Memory -------------------------------------------------------------------------


@pytest.mark.parametrize("make", [reference.ising, reference.general])
def test_the_basis_that_is_not_kept_gives_the_same(monkeypatch, make):
    operators, row = reference.gapped(np.random.default_rng(6), make, 7)
    nudged = row + 0.02 * np.random.default_rng(7).standard_normal(len(row))
    kept = [settle(operators, row, level=n) for n in range(3)]
    followed = qep.Exact()(operators, nudged[None], start=kept[0])
    monkeypatch.setattr(exact, "KEEP_BYTES", 1)
    assert exact.KEEP_ROWS * 2**7 * 8 > exact.KEEP_BYTES
    again = [settle(operators, row, level=n) for n in range(3)]
    followed_again = qep.Exact()(operators, nudged[None], start=again[0])
    for a, b in zip([*kept, followed], [*again, followed_again], strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-9)
        np.testing.assert_allclose(a.gap, b.gap, rtol=1e-6)
        assert b.residual[0] < 1e-10


def test_a_basis_that_fills_its_rows_is_computed_again(monkeypatch):
    operators, row = chain(np.ones(7), np.full(8, 0.9))
    expected = free_fermions(np.ones(7), np.full(8, 0.9))[2]
    for rows in (3, 4, 7, 12, 20, 40):  # the run takes about 40 steps
        monkeypatch.setattr(exact, "KEEP_ROWS", rows)
        phase = settle(operators, row)
        np.testing.assert_allclose(phase.values[0], expected, atol=1e-9)


# --- Single precision ---------------------------------------------------------------


HARD = {
    "gap of a thousandth": chain(np.ones(9), np.full(10, 0.4917)),
    "gap of 2e-5": chain(np.ones(7), np.full(8, 0.3)),
    "degenerate": (heisenberg(7, 1.0), np.ones(7)),
    "almost classical": chain(np.linspace(1, 2, 7), np.full(8, 1e-6)),
    "after training": reference.ising(np.random.default_rng(8), 8, size=5.0),
    "complex": reference.general(np.random.default_rng(8), 8),
}


# One of the hard cases is degenerate on purpose, and says so.
@pytest.mark.filterwarnings("ignore:sample 0 is .*degenerate")
@pytest.mark.parametrize(("operators", "row"), HARD.values(), ids=HARD)
def test_single_precision_changes_no_result(monkeypatch, operators, row):
    found = []
    for smallest in (1, 1 << 30):  # single precision wherever it may be, and nowhere
        monkeypatch.setattr(exact, "SINGLE_DIM", max(smallest, 64))
        phase = settle(operators, row)
        nudged = row + 0.01 * np.random.default_rng(0).standard_normal(len(row))
        found.append((phase, qep.Exact()(operators, nudged[None], start=phase)))
    energies = np.linalg.eigvalsh(reference.total(operators, row))
    for phase, _ in found:
        assert phase.residual[0] < 1e-10 + 1e-12 * np.abs(row).max()
        assert abs(phase.values[0] @ row - energies[0]) < 1e-9
        true = reference.gap(energies)
        assert true - 1e-9 < phase.gap[0] < 1.05 * true + 1e-9
    single, double = (p[0] for p in found)
    if single.gap[0] > 1e-3:
        np.testing.assert_allclose(single.values, double.values, atol=1e-8)
        np.testing.assert_allclose(found[0][1].values, found[1][1].values, atol=1e-8)


# --- Complex coefficients -----------------------------------------------------------


@pytest.mark.parametrize("num_qubits", [1, DENSE, 5])
@pytest.mark.parametrize("level", [0, 1])
def test_complex_coefficients_continue_the_eigenpair(num_qubits, level):
    rng = np.random.default_rng(8)
    operators, row = reference.gapped(
        rng, reference.general, num_qubits, level=level, bound=0.6
    )
    free = settle(operators, row, level=level)
    way = 0.2 * (rng.standard_normal(len(row)) + 1j * rng.standard_normal(len(row)))
    way /= np.sqrt(len(row))
    targets = np.array([row + way, row + way.conj(), row + way.real])
    phase = qep.Exact(level=level)(operators, targets, start=free[[0, 0, 0]])
    for b in (0, 1):
        expected = reference.continued(operators, row, targets[b], level)
        assert np.abs(expected.imag).max() > 0.01
        np.testing.assert_allclose(phase.values[b], expected, atol=1e-8)
    np.testing.assert_allclose(phase.values[1], phase.values[0].conj(), atol=1e-9)
    real = settle(operators, targets[2].real, level=level)
    np.testing.assert_allclose(phase.values[2], real.values[0], atol=1e-9)
    assert phase.residual.max() < 1e-9


TWO_LEVELS = [SparsePauliOp("X"), SparsePauliOp("Z")]


@pytest.mark.parametrize("beta", [0.5j, 0.9j, 0.99j, 1 + 1j, 0.1 + 2j, -3.0 + 0.5j])
def test_two_levels_by_hand(beta):
    # E = -sqrt(1 + beta^2), <X> = 1 / E and <Z> = beta / E; exceptional at +-i.
    free = settle(TWO_LEVELS, [1.0, 0.0])
    phase = qep.Exact()(TWO_LEVELS, np.array([[1.0, beta]]), start=free)
    energy = -np.sqrt(1 + beta**2)  # the straight way does not meet the branch cut
    np.testing.assert_allclose(phase.values[0], [1 / energy, beta / energy], rtol=1e-8)


@pytest.mark.parametrize("beta", [1j, 1.01j, 1.1j, 2j, -2j, 5j])
def test_an_exceptional_point_on_the_way_is_an_error(beta):
    free = settle(TWO_LEVELS, [1.0, 0.0])
    message = (
        r"branch is lost at \d\.\d+ of the way.*exceptional point.*lower the radius"
    )
    with pytest.raises(ValueError, match=message):
        qep.Exact()(TWO_LEVELS, np.array([[1.0, beta]]), start=free)


def test_complex_coefficients_need_a_start():
    rows = np.array([[1.0, 0.1j]])
    message = r"complex coefficients .*Nudge\.holomorphic.*start="
    with pytest.raises(TypeError, match=message):
        qep.Exact()(TWO_LEVELS, rows)
    free = settle(TWO_LEVELS, [1.0, 0.0])
    with pytest.raises(TypeError, match=message):
        qep.Exact()(TWO_LEVELS, rows, start=replace(free, state=()))


def test_a_complex_phase_is_no_start():
    free = settle(TWO_LEVELS, [1.0, 0.0])
    nudged = qep.Exact()(TWO_LEVELS, np.array([[1.0, 0.1 + 0.3j]]), start=free)
    with pytest.raises(TypeError, match=r"start= a phase of real coefficients"):
        qep.Exact()(TWO_LEVELS, np.array([[1.0, 0.2 + 0.4j]]), start=nudged)


# --- Arguments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"level": -1}, "level should be 0 or more, got -1"),
        ({"tolerance": 0.0}, "tolerance should be positive, got 0.0"),
        ({"tolerance": -1e-9}, "tolerance should be positive, got -1e-09"),
        ({"tolerance": np.nan}, "tolerance should be positive, got nan"),
    ],
)
def test_bad_arguments(how, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        qep.Exact(**how)


def test_a_register_has_so_many_levels():
    assert settle(TWO_LEVELS, [1.0, 0.0], level=1).values[0, 0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"level should be below 2\^1, got 2"):
        settle(TWO_LEVELS, [1.0, 0.0], level=2)


def test_a_loose_tolerance_is_looser_but_kept():
    operators, row = reference.gapped(np.random.default_rng(9), reference.ising, 8)
    tight, loose = (settle(operators, row, tolerance=t) for t in (1e-10, 1e-4))
    assert tight.residual[0] < 1e-10 < loose.residual[0] < 1e-4
    assert 1e-12 < np.abs(tight.values - loose.values).max() < 1e-3
