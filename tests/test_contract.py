"""What every equilibrium promises, swept over a table: a new one is one more row."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from qiskit.quantum_info import SparsePauliOp, Statevector

import mechanics
import qiskit_qep as qep
import reference
from qiskit_qep.equilibria.uncoupled import Uncoupled


def uncoupled(operators, coefficients, level=0):
    """Leave out every string on two and more qubits, and diagonalise."""
    single = []
    for op in operators:
        kept = (op.paulis.x | op.paulis.z).sum(axis=1) <= 1
        single.append(SparsePauliOp(op.paulis, np.where(kept, op.coeffs, 0.0)))
    return reference.settle(single, coefficients, level)


@dataclass(frozen=True)
class Kind:
    """A type of operators: how systems of it are drawn and varied.

    Attributes:
        draw: (rng, make, size, level) -> operators and one row, far from any crossing.
        constant: size -> an operator that is 1 in every state.
        relabel: (operators, order of the sites) -> the same on exchanged sites.
        others: size -> three operators with different values.
        bound: operator -> what no value exceeds.
    """

    draw: Callable[..., Any]
    constant: Callable[[int], Any]
    relabel: Callable[..., Any]
    others: Callable[[int], list[Any]]
    bound: Callable[[Any], float]


PAULI = Kind(
    draw=lambda rng, make, size, level: reference.gapped(
        rng, make, size, bound=1.0, level=level
    ),
    constant=lambda size: SparsePauliOp("I" * size),
    relabel=lambda operators, order: [op.apply_layout(order) for op in operators],
    others=lambda size: [
        SparsePauliOp([letter * size, "I" * (size - 1) + letter]) for letter in "XYZ"
    ],
    bound=lambda op: np.abs(op.coeffs).sum(),
)
SPINS = replace(
    PAULI,
    others=lambda size: [
        SparsePauliOp(["Z" * size, "I" * (size - 1 - k) + "Z" + "I" * k])
        for k in range(3)
    ],
)
FORMS = Kind(
    draw=lambda rng, make, size, level: make(rng, size),
    constant=lambda size: qep.QuadraticForm({"": 1.0}, size),
    relabel=mechanics.relabelled,
    others=lambda size: [
        qep.QuadraticForm({z: 1.0, "": 0.1 * k}, size)
        for k, z in enumerate(["r_0 r_0", "p_0 p_0", "r_0"])
    ],
    bound=lambda op: np.inf,
)
SPRINGS = Kind(
    draw=lambda rng, make, size, level: make(rng, size),
    constant=lambda size: qep.QuadraticForm({"": 1.0}, 2 * (size + 3)),
    relabel=lambda operators, order: mechanics.relabelled(
        operators,
        [
            2 * i + a
            for i in [*order, *range(len(order), len(order) + 3)]
            for a in (0, 1)
        ],
    ),
    others=lambda size: [
        qep.QuadraticForm({z: 1.0}, 2 * (size + 3)) for z in ("r_0", "r_1", "r_0 r_1")
    ],
    bound=lambda op: np.inf,
)


@dataclass(frozen=True)
class Row:
    """One equilibrium under test.

    Attributes:
        settle: The equilibrium.
        level: Which eigenstate it settles; the systems drawn have a gap there.
        exact: Whether its values have no noise.
        stationary: Whether its values are the gradient of an energy.
        smooth: Whether its values are; those of classical spins jump.
        stride: How far rows and nudges of a test lie apart; spins jump rarely.
        make: What systems it is tested on.
        twin: The slow way to the same values.
        kind: The type of their operators.
        analytic: Whether it settles complex coefficients without a start.
        needs: A package that the tests do not install, without which it is skipped.
    """

    settle: qep.Equilibrium
    level: int = 0
    exact: bool = True
    stationary: bool = True
    smooth: bool = True
    stride: float = 1.0
    twin: Callable[..., Any] = reference.settle
    make: Callable[..., Any] = reference.general
    kind: Kind = PAULI
    analytic: bool = False
    needs: str | None = None


def by_gates(preparation):
    """Prepare by Qiskit's gates. (The angles have tests of their own.)"""

    def twin(operators, coefficients, level=0):
        angles = preparation.angles(operators, coefficients[None])[0]
        circuit = preparation.circuit(operators).assign_parameters(angles)
        state = Statevector(circuit)
        return None, np.array([state.expectation_value(op).real for op in operators])

    return twin


def boltzmann(operators, coefficients, level=0):
    """Average diagonal operators over all configurations."""
    diagonals = np.array([reference.matrix(op).diagonal().real for op in operators])
    energies = coefficients @ diagonals
    weights = np.exp((energies.min() - energies) / TEMPERATURE)
    return energies, diagonals @ weights / weights.sum()


def open_system(settle):
    """Settle by the null vector of the matrix of 4^N rows."""

    def twin(operators, coefficients, level=0):
        return None, reference.steady(operators, coefficients, settle)

    return twin


TEMPERATURE = 3.0
CLASSICAL = {"stride": 30.0, "kind": SPINS, "make": reference.classical}


def thermal(temperature):
    """Settle at a temperature by the slow twin, whatever the level."""

    def twin(operators, coefficients, level=0):
        return None, reference.thermal(operators, coefficients, temperature)

    return twin


POOL = ThreadPoolExecutor(2)
RAMP = qep.Ramp(time=4, steps=10)
NOISY = qep.Lindblad(qep.jumps.damping(2.0))
TABLE = {
    "Exact": Row(qep.Exact()),
    "Exact, level 1": Row(qep.Exact(level=1), level=1),
    "Exact, settled afresh": Row(qep.Exact(follow=False)),
    "Sampled": Row(qep.Sampled(2000), exact=False),
    "Thermal": Row(qep.Thermal(0.7), twin=thermal(0.7)),
    "Thermal, random vectors": Row(
        qep.Thermal(2.0, vectors=200), exact=False, twin=thermal(2.0)
    ),
    "Sampled, Thermal": Row(
        qep.Sampled(2000, qep.Thermal(0.7)), exact=False, twin=thermal(0.7)
    ),
    "Lindblad": Row(NOISY, stationary=False, twin=open_system(NOISY)),
    "Lindblad, a bath alone": Row(qep.Lindblad(temperature=0.7), twin=thermal(0.7)),
    "Uncoupled": Row(Uncoupled(), twin=uncoupled),
    "Prepared, a ramp": Row(
        qep.Prepared(RAMP), stationary=False, twin=by_gates(RAMP), make=reference.ising
    ),
    "Sampled, a ramp": Row(
        qep.Sampled(2000, qep.Prepared(RAMP)),
        exact=False,
        stationary=False,
        twin=by_gates(RAMP),
        make=reference.ising,
    ),
    "Enumerated": Row(qep.Enumerated(), smooth=False, **CLASSICAL),
    "Annealed": Row(qep.Annealed(20, 200), smooth=False, **CLASSICAL),
    "Annealed, at a temperature": Row(
        qep.Annealed(1000, 40, (TEMPERATURE, TEMPERATURE), average=True),
        exact=False,
        twin=boltzmann,
        **CLASSICAL,
    ),
    "Gaussian": Row(
        qep.Gaussian(),
        twin=mechanics.ground,
        make=mechanics.mixed,
        kind=FORMS,
        analytic=True,
    ),
    "Sampled, Gaussian": Row(
        qep.Sampled(2000, qep.Gaussian()),
        exact=False,
        twin=mechanics.ground,
        make=mechanics.oscillators,
        kind=FORMS,
    ),
    "Relaxed": Row(
        qep.Relaxed(), twin=mechanics.rest, make=mechanics.oscillators, kind=FORMS
    ),
    "Relaxed, springs": Row(
        mechanics.AsDrawn(), twin=mechanics.rest, make=mechanics.elastic, kind=SPRINGS
    ),
    "TensorNetwork": Row(qep.TensorNetwork(8)),
    "VariationalMonteCarlo": Row(
        qep.VariationalMonteCarlo(1024, steps=30),
        exact=False,
        make=reference.ising,  # no sign problem
        needs="netket",
    ),
    "Parallel": Row(qep.Parallel(qep.Sampled(2000), POOL, rows=2), exact=False),
}


@pytest.fixture(params=TABLE.values(), ids=TABLE)
def row(request):
    if request.param.needs:
        pytest.importorskip(
            request.param.needs, reason="the extra of this row is not installed"
        )
    return request.param


def system(row, num_qubits, seed=0, batch=1):
    """Draw operators with X, Y and Z strings, and coefficients with a gap above 1."""
    rng = np.random.default_rng(seed)
    operators, first = row.kind.draw(rng, row.make, num_qubits, row.level)
    step = 0.03 * row.stride * rng.standard_normal((batch, len(first)))
    step[0] = 0.0
    return operators, first + step


def generators(batch, seed=0):
    return [np.random.default_rng([seed, b]) for b in range(batch)]


def settle(row, operators, coefficients, *, start=None, seed=0):
    """Settle with generators of its own for every row."""
    rng = generators(len(coefficients), seed)
    return row.settle(operators, coefficients, start=start, rng=rng)


def same(row, a, b, columns=slice(None)):
    """Assert that two independent measurements agree: exactly, or within 5 sigma."""
    # 1e-8: a state's residual of 1e-10 over its gap of 1, times |A|.
    noise = np.sqrt(a.stds**2 + b.stds**2)[:, columns]
    difference = np.abs(a.values - b.values)[:, columns]
    assert np.abs(a.values[:, columns]).max() > 0.1, "what is compared is zero"
    assert noise.max() < 0.2, "so noisy that anything agrees"
    assert (difference <= 5 * noise + 1e-8).all(), (difference / (noise + 1e-9)).max()
    assert row.exact == (noise.max() == 0)


def identical(a, b):
    """Assert that two phases are the same to the last bit."""
    for field in fields(qep.Phase):
        x, y = getattr(a, field.name), getattr(b, field.name)
        pairs = zip(x, y, strict=True) if field.name == "state" else [(x, y)]
        for one, other in pairs:
            assert np.array_equal(one, other), field.name


# --- What is returned ---------------------------------------------------------------


@pytest.mark.parametrize("num_qubits", [1, 3, 6])
def test_shapes(row, num_qubits):
    operators, coefficients = system(row, num_qubits, batch=4)
    phase = settle(row, operators, coefficients)
    shape = (4, len(operators))
    assert phase.values.shape == phase.stds.shape == shape
    assert len(phase) == 4
    assert phase.values.dtype == phase.stds.dtype == float
    assert np.isfinite(phase.values).all()
    assert (phase.stds == 0).all() == row.exact
    for diagnostic in (phase.gap, phase.residual):
        assert diagnostic is None or diagnostic.shape == (4,)
    assert phase.state
    assert all(len(array) == 4 for array in phase.state)
    sizes = np.array([row.kind.bound(op) for op in operators])
    assert (np.abs(phase.values) <= sizes + 1e-9).all()


def test_covariance_is_symmetric_positive_and_has_the_stds_on_its_diagonal(row):
    operators, coefficients = system(row, 4, batch=2)
    phase = settle(row, operators, coefficients)
    if phase.covariance is None:
        assert row.exact, "operators that share shots are correlated"
        return
    for covariance, stds in zip(phase.covariance, phase.stds, strict=True):
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-15)
        np.testing.assert_allclose(np.diag(covariance), stds**2, atol=1e-15)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12
        assert np.abs(np.triu(covariance, 1)).max() > 1e-6


@pytest.mark.parametrize("num_qubits", [2, 5])
def test_values_are_those_of_the_level(row, num_qubits):
    for seed in range(3):
        operators, coefficients = system(row, num_qubits, seed)
        phase = settle(row, operators, coefficients)
        values = row.twin(operators, coefficients[0], row.level)[1]
        same(row, phase, qep.Phase(values[None]))


def test_a_model_gives_the_same_as_its_operators(row):
    operators, coefficients = system(row, 3, batch=2)
    model = qep.Model(operators[:5], inputs=operators[5:8], readout=operators[8:])
    assert len(model.operators) == len(operators)
    identical(
        settle(row, model.operators, coefficients),
        settle(row, list(model.operators), coefficients),
    )


def test_the_same_generators_give_the_same_and_others_do_not(row):
    operators, coefficients = system(row, 3, batch=2)
    first, again, other = (
        settle(row, operators, coefficients, seed=seed) for seed in (1, 1, 2)
    )
    identical(first, again)
    same(row, first, other)
    assert np.array_equal(first.values, other.values) == row.exact


# --- Rows ---------------------------------------------------------------------------


def free_and_nudged(row, num_qubits, batch):
    """Settle a batch, and push it a little; say how to do so for some rows only."""
    operators, coefficients = system(row, num_qubits, batch=batch)
    push = (
        0.1 * row.stride * np.random.default_rng(1).standard_normal(coefficients.shape)
    )

    def again(rows):
        rng = [np.random.default_rng([0, b]) for b in rows]
        free = row.settle(operators, coefficients[rows], rng=rng)
        nudged = row.settle(operators, (coefficients + push)[rows], start=free, rng=rng)
        return free, nudged

    return again


@pytest.mark.parametrize("num_qubits", [3, 6])
def test_a_batch_may_be_permuted(row, num_qubits):
    again = free_and_nudged(row, num_qubits, 5)
    order = [3, 0, 4, 1, 2]
    for whole, permuted in zip(again(range(5)), again(order), strict=True):
        assert np.abs(whole.values - whole.values[order]).max() > 0.01
        identical(whole[order], permuted)


@pytest.mark.parametrize("num_qubits", [3, 6])
def test_a_batch_may_be_cut_anywhere(row, num_qubits):
    again = free_and_nudged(row, num_qubits, 5)
    whole = again(range(5))
    for cut in (1, 3):
        parts = again(range(cut)), again(range(cut, 5))
        for n in (0, 1):
            identical(whole[n][:cut], parts[0][n])
            identical(whole[n][cut:], parts[1][n])


@pytest.mark.parametrize(
    "rows", [[2, 0, 0], slice(1, 3), np.array([True, False, True])]
)
def test_selected_rows_of_a_phase_settle_as_separate_ones(row, rows):
    operators, coefficients = system(row, 5, batch=3)
    push = (
        0.1 * row.stride * np.random.default_rng(1).standard_normal(coefficients.shape)
    )
    free = settle(row, operators, coefficients)
    picked = free[rows]
    chosen = np.arange(3)[rows]
    assert len(picked) == len(chosen)
    assert np.array_equal(picked.values, free.values[rows])
    together = settle(row, operators, (coefficients + push)[rows], start=picked)
    assert np.abs(together.values - picked.values).max() > 0.01, "nothing moved"
    for n, b in enumerate(chosen):
        alone = row.settle(
            operators,
            (coefficients + push)[b : b + 1],
            start=free[int(b)],
            rng=[np.random.default_rng([0, n])],
        )
        identical(together[n], alone)


def test_nothing_that_was_passed_is_changed(row):
    operators, coefficients = system(row, 5, batch=2)
    before = deepcopy(operators)
    free = settle(row, operators, coefficients)
    kept = [coefficients, free.values, free.stds, *free.state]
    copies = [array.copy() for array in kept]
    again = settle(row, operators, coefficients, start=free)
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))
    assert operators == before
    for array in kept:
        array.setflags(write=False)  # and may be read-only
    identical(again, settle(row, operators, coefficients, start=free))


def test_a_start_at_the_same_coefficients_changes_nothing(row):
    for num_qubits in (3, 6):
        operators, coefficients = system(row, num_qubits, batch=2)
        free = settle(row, operators, coefficients)
        same(row, settle(row, operators, coefficients, start=free, seed=5), free)


# --- Physics ------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-3.7, 1e6])
@pytest.mark.parametrize("num_qubits", [3, 6])
def test_the_zero_of_energy_does_not_matter(row, num_qubits, shift):
    operators, coefficients = system(row, num_qubits, batch=2)
    identity = row.kind.constant(num_qubits)
    shifted = np.hstack([coefficients, np.full((2, 1), shift)])
    plain = settle(row, operators, coefficients)
    moved = settle(row, [*operators, identity], shifted, seed=1)
    np.testing.assert_allclose(moved.values[:, -1], 1.0, atol=1e-12)
    np.testing.assert_allclose(moved.stds[:, -1], 0.0, atol=1e-12)
    columns = slice(0, len(operators))
    narrowed = qep.Phase(moved.values[:, columns], moved.stds[:, columns])
    same(row, narrowed, plain)
    if plain.gap is not None:
        np.testing.assert_allclose(moved.gap, plain.gap, rtol=0.01)


@pytest.mark.parametrize("num_qubits", [4, 6])
def test_qubits_have_no_names(row, num_qubits):
    operators, coefficients = system(row, num_qubits)
    order = np.random.default_rng(2).permutation(num_qubits)
    assert (order != np.arange(num_qubits)).any()
    relabelled = row.kind.relabel(operators, [int(q) for q in order])
    assert relabelled != operators
    plain = settle(row, operators, coefficients)
    same(row, settle(row, relabelled, coefficients, seed=1), plain)


@pytest.mark.parametrize("num_qubits", [3, 6])
def test_a_value_reads_its_own_operator_only(row, num_qubits):
    operators, coefficients = system(row, num_qubits)
    added = np.hstack([coefficients, np.zeros((1, 1))])
    phases = []
    for seed, other in enumerate(row.kind.others(num_qubits)):
        one_more = [*operators, other]
        phases.append(settle(row, one_more, added, seed=seed))
    plain = settle(row, operators, coefficients, seed=7)
    columns = slice(0, len(operators))
    for phase in phases:
        narrowed = qep.Phase(phase.values[:, columns], phase.stds[:, columns])
        same(row, narrowed, plain)
    last = np.array([phase.values[0, -1] for phase in phases])
    assert np.ptp(last) > 0.05  # the operators that were exchanged are different


def test_the_order_of_operators_does_not_matter(row):
    operators, coefficients = system(row, 5)
    order = np.random.default_rng(3).permutation(len(operators))
    plain = settle(row, operators, coefficients)
    moved = settle(row, [operators[k] for k in order], coefficients[:, order], seed=1)
    back = np.argsort(order)
    same(row, qep.Phase(moved.values[:, back], moved.stds[:, back]), plain)


def stationary(row):
    if not row.stationary:
        pytest.skip("its values are no gradient, by its nature")


def smooth(row):
    if not row.smooth:
        pytest.skip("its values jump: see the circuit of large steps below")


@pytest.mark.parametrize("num_qubits", [3, 6])
def test_values_are_the_gradient_of_an_energy(row, num_qubits):
    """Their circulation around a triangle in coefficient space vanishes.

    Symmetry of the response matrix (Onsager) says the same of small triangles, and can
    be measured with shots only at large ones.
    """
    stationary(row)
    smooth(row)
    operators, corner = system(row, num_qubits, seed=4)
    rng = np.random.default_rng(5)
    corners = corner + 0.3 * rng.standard_normal((3, corner.size)) * [[0], [1], [1]]
    nodes, weights = leggauss(40)
    circulation, variance, wrong = 0.0, 0.0, np.zeros(corner.size)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        way = corners[b] - corners[a]
        points = corners[a] + np.outer((nodes + 1) / 2, way)
        phase = settle(row, operators, points, seed=a)
        mean = weights / 2 @ phase.values
        circulation += mean @ way
        wrong += [np.roll(mean, shift) @ way for shift in range(corner.size)]
        if phase.covariance is not None:
            variance += (weights / 2) ** 2 @ (phase.covariance @ way @ way)
    # 1e-6: 40 points of Gauss and Legendre on sides as long as the gap.
    bound = 5 * np.sqrt(variance) + 1e-6
    assert abs(circulation) < bound
    assert np.abs(wrong).max() > 2 * bound  # with columns exchanged it is no gradient


@pytest.mark.parametrize("num_qubits", [2, 5])
def test_the_response_matrix_is_symmetric(row, num_qubits):
    stationary(row)
    smooth(row)
    if not row.exact:
        pytest.skip("shots hide it: see the circulation above")
    operators, coefficients = system(row, num_qubits, seed=6)
    jacobian = reference.five_point(
        lambda point: settle(row, operators, point[None]).values[0], coefficients[0]
    )
    assert np.abs(jacobian - np.diag(np.diag(jacobian))).max() > 0.05
    # 1e-6: errors of the values (1e-10) over the step (1e-3).
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-6)
    if hasattr(row.settle, "response"):
        size = len(operators)
        rows = np.repeat(coefficients, size, axis=0)
        phase = settle(row, operators, rows)
        response = row.settle.response(phase, operators, rows, np.eye(size))
        np.testing.assert_allclose(response, jacobian, atol=1e-6)
        np.testing.assert_allclose(response, response.T, atol=1e-9)


@pytest.mark.parametrize("num_qubits", [3, 6])
def test_lowest_energies_are_concave(row, num_qubits):
    """Around any circuit in coefficient space, large steps only gain.

    The sum of <A>(here) (next - here) is positive both ways round, which by Rockafellar
    makes <A> the slope of one concave energy, whether it has kinks or not.
    """
    stationary(row)
    if row.level or row.settle == qep.Exact():  # what follows is not always lowest
        pytest.skip("an excited energy is not concave")
    if row.kind not in (PAULI, SPINS):
        pytest.skip("large steps leave where springs hold")
    operators, corner = system(row, num_qubits, seed=4)
    rng = np.random.default_rng(5)
    points = corner + rng.standard_normal((6, corner.size)) * np.abs(corner).max()
    phase = settle(row, operators, points)
    for circuit in (np.arange(6), np.arange(6)[::-1]):
        steps = np.roll(points[circuit], -1, axis=0) - points[circuit]
        gains = (phase.values[circuit] * steps).sum()
        wrong = (phase.values[np.roll(circuit, 1)] * steps).sum()
        bound = 5 * np.sqrt(((phase.stds[circuit] * steps) ** 2).sum())
        assert gains > 0.1 + bound, "the circuit is too small to say anything"
        assert wrong < gains


# --- What is refused ----------------------------------------------------------------


def test_operators_that_are_no_pauli_sums_are_refused(row):
    with pytest.raises(TypeError, match=r"operator 0 is a float.*SparsePauliOp"):
        settle(row, [1.0], np.ones((1, 1)))


def test_complex_coefficients_are_continued_or_refused(row):
    operators, coefficients = system(row, 2)
    if row.analytic:
        plain, turned = (
            settle(row, operators, coefficients + step).values for step in (0.0, 1e-7j)
        )
        np.testing.assert_allclose(turned.real, plain, atol=1e-10)
        assert np.abs(turned.imag).max() > 1e-9
        return
    with pytest.raises(TypeError, match=r"complex.*Nudge\.|Nudge\..*complex"):
        settle(row, operators, coefficients + 0.1j)
