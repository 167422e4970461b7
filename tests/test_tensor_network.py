"""TensorNetwork: against diagonalisation, free fermions, and its own predictions."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from itertools import islice

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference
from benchmarks import tensor_networks
from qiskit_qep._mpo import StringsOnALine
from qiskit_qep.equilibria import tensor_network
from qiskit_qep.equilibria._sweeps import bonds, orthonormal, padded, settle
from qiskit_qep.equilibria.tensor_network import _grown

LADDER = [*((k, k + 2) for k in range(10)), *((k, k + 1) for k in range(0, 12, 2))]


def network(edges, num_spins=12, seed=0):
    """Draw a network in fields, far from crossings, and two samples of a task."""
    model = qep.models.transverse_field_ising(
        num_spins, edges=edges, inputs=[0, 3], readout=[2, num_spins - 1]
    )
    rng = np.random.default_rng(seed)
    num_edges = model.num_trainable - 2 * num_spins
    theta = 0.2 * rng.standard_normal(model.num_trainable)
    theta[:num_edges] += 0.4
    theta[num_edges : num_edges + num_spins] += 0.8
    return model, theta, rng.standard_normal((2, 2)), np.array([[1.0, -1], [-1, 1.0]])


# --- Pauli sums as matrix-product operators -----------------------------------------


def multiplied_out(tensors):
    """Multiply W out; qubit 0 is the rightmost factor, as in Qiskit."""
    blocks = [np.eye(1)]
    for w in tensors:
        blocks = [
            sum(np.kron(w[left, right], block) for left, block in enumerate(blocks))
            for right in range(w.shape[1])
        ]
    return blocks[0]


@pytest.mark.parametrize("num_qubits", [1, 2, 5])
@pytest.mark.parametrize("real", [True, False])
def test_the_matrix_product_operator_is_the_sum(num_qubits, real):
    operators, row = reference.general(np.random.default_rng(7), num_qubits, real=real)
    strings = StringsOnALine.of([*operators, SparsePauliOp("I" * num_qubits)])
    tensors = strings.tensors(np.append(row, 5.0))
    matrix = reference.total(operators, row)
    constant = np.trace(matrix) / 2**num_qubits  # left out, as it changes no state
    expected = matrix - constant * np.eye(2**num_qubits)
    np.testing.assert_allclose(multiplied_out(tensors), expected, atol=1e-12)
    assert np.iscomplexobj(tensors[0]) is not real


def test_what_is_shared_by_strings_is_written_once():
    chain, ladder, complete = (
        qep.models.transverse_field_ising(12, edges=edges).operators
        for edges in ("chain", LADDER, None)
    )
    assert max(StringsOnALine.of(chain).sizes) == 3
    assert max(StringsOnALine.of(ladder).sizes) == 4
    assert max(StringsOnALine.of(complete).sizes) == 13  # not the 36 pairs that cross


# --- Against diagonalisation --------------------------------------------------------


@pytest.mark.parametrize(("edges", "max_bond"), [("chain", 16), (LADDER, 32)])
def test_twelve_spins_as_by_diagonalisation(edges, max_bond):
    model, theta, x, y = network(edges)
    settle = qep.TensorNetwork(max_bond)
    rows = model.coefficients(theta, x)
    found, exact = settle(model.operators, rows), qep.Exact()(model.operators, rows)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-8)
    assert (found.residual < 1e-5).all()
    assert (found.gap >= exact.gap - 1e-9).all()
    assert (found.gap < 1.1 * exact.gap).all()
    ours, theirs = (
        qep.gradient(model, theta, x, y, equilibrium=e) for e in (settle, qep.Exact())
    )
    assert np.abs(theirs.values).max() > 0.1
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-6)
    np.testing.assert_allclose(ours.inputs, theirs.inputs, atol=1e-6)


def test_the_residual_is_that_of_the_vector():
    model, theta, x, _ = network("chain", num_spins=8)
    rows = model.coefficients(theta, x)
    phase = qep.TensorNetwork(2)(model.operators, rows)
    sizes = [1, 2, 2, 2, 2, 2, 2, 2, 1]
    states = phase.state[0].reshape(len(rows), 8, 2, 2, 2)
    for row, state, residual in zip(rows, states, phase.residual, strict=True):
        tensors = [a[: sizes[n], :, : sizes[n + 1]] for n, a in enumerate(state)]
        psi = reduce(lambda a, b: np.tensordot(a, b, 1), tensors)[0, ..., 0]
        psi = psi.transpose().ravel()  # qubit 0 is the last axis
        image = reference.total(model.operators, row) @ psi
        expected = np.linalg.norm(image - (psi @ image) * psi)
        assert expected > 1e-3
        np.testing.assert_allclose(residual, expected, rtol=1e-9)


# --- Against free fermions ----------------------------------------------------------


def free_fermions(J, h):
    """Solve H = -sum J_k Z_k Z_{k+1} - sum h_k X_k on an open chain.

    Jordan and Wigner's strings of X make it a bilinear form -i sum M_jk b_j a_k of
    Majorana operators, with h on M's diagonal and J beside it. Its ground state has the
    energy -|M|_1 (the sum of singular values), so that its values are the polar factor
    of M; the gap is twice the smallest singular value.
    """
    u, s, vt = np.linalg.svd(np.diag(h) + np.diag(J, 1))
    polar = u @ vt
    return np.diag(polar, 1), np.diag(polar), -s.sum(), 2 * s[-1]


def fermions(num_spins, seed=0):
    """Draw a chain without longitudinal fields; inputs are transverse ones."""

    def at(letters, *where):
        return SparsePauliOp.from_sparse_list([(letters, where, -1.0)], num_spins)

    middle = num_spins // 2
    model = qep.Model(
        [at("ZZ", k, k + 1) for k in range(num_spins - 1)]
        + [at("X", k) for k in range(num_spins)],
        inputs=[at("X", middle + 1)],
        readout=[-at("X", middle), -at("ZZ", middle - 1, middle)],
    )
    rng = np.random.default_rng(seed)
    J = rng.uniform(0.4, 0.8, num_spins - 1)
    h = rng.uniform(0.8, 1.2, num_spins)
    return model, J, h


@pytest.mark.parametrize("num_spins", [64, 100])
def test_long_chains_as_free_fermions(num_spins):
    model, J, h = fermions(num_spins)
    zz, x, energy, gap = free_fermions(J, h)
    rows = model.coefficients([*J, *h], [[0.0]])
    phase = qep.TensorNetwork(16)(model.operators, rows)
    np.testing.assert_allclose(-phase.values[0, :-3], [*zz, *x], atol=1e-8)
    np.testing.assert_allclose(rows[0] @ phase.values[0], energy, rtol=1e-12)
    assert gap - 1e-9 < phase.gap[0] < 1.2 * gap


def test_the_gradient_of_a_long_chain_as_of_free_fermions():
    model, J, h = fermions(64)
    theta, u, y = np.concatenate([J, h]), 0.3, [0.0, -1.0]

    def loss(point):
        driven = np.zeros(64)
        driven[33] = point[-1]
        zz, x, _, _ = free_fermions(point[:63], point[63:-1] + driven)
        return (x[32] - y[0]) ** 2 + (zz[31] - y[1]) ** 2

    found = qep.gradient(
        model,
        theta,
        [[u]],
        [y],
        equilibrium=qep.TensorNetwork(16),
        nudge=qep.Nudge.chebyshev(0.02, 4),
    )
    expected = reference.five_point(loss, np.append(theta, u))
    assert np.abs(expected).max() > 0.5
    assert (np.abs(expected) > 1e-3).sum() > 10
    assert abs(expected[-1]) > 1e-3
    np.testing.assert_allclose(found.values, expected[:-1], atol=1e-6)
    np.testing.assert_allclose(found.inputs[0], expected[-1:], atol=1e-6)


# --- The theorem, however small the state is ----------------------------------------


@pytest.mark.parametrize("max_bond", [1, 2])
def test_the_gradient_is_that_of_its_own_prediction(max_bond):
    """It is not the exact ground state's, from which few bonds are far."""
    model, theta, x, y = network("chain")
    settle = qep.TensorNetwork(max_bond, max_sweeps=2000)
    free = settle(model.operators, model.coefficients(theta, x))

    def loss(parameters):
        rows = model.coefficients(parameters, x)
        phase = settle(model.operators, rows, start=free)
        return ((phase.values[:, model.readout_columns] - y) ** 2).sum(axis=1).mean()

    how = {"nudge": qep.Nudge.chebyshev(0.01, 4)}
    found = qep.gradient(model, theta, x, y, equilibrium=settle, **how).values
    some = [1, 3, 13, 25]  # two couplings, two fields
    unit = np.eye(model.num_trainable)[some]
    expected = reference.five_point(lambda t: loss(theta + t @ unit), np.zeros(4))
    np.testing.assert_allclose(found[some], expected, atol=1e-6)
    exact = qep.gradient(model, theta, x, y, **how).values
    assert np.abs(found - exact)[some].max() > 1e-5


def test_the_error_of_a_gradient_is_at_most_the_tolerance_over_beta():
    model, theta, x, y = network("chain")

    def values(tolerance, beta):
        settle = qep.TensorNetwork(8, tolerance=tolerance)
        nudge = qep.Nudge.centered(beta)
        return qep.gradient(model, theta, x, y, equilibrium=settle, nudge=nudge).values

    for beta in (0.01, 0.1):
        tight = values(1e-11, beta)
        errors = [np.abs(values(t, beta) - tight).max() * beta for t in (1e-3, 1e-5)]
        assert 1e-6 < errors[0] < 1e-3
        assert 1e-8 < errors[1] < 1e-5


def test_the_benchmark_stands_beside_free_fermions(capsys, monkeypatch):
    monkeypatch.setattr("os.environ", dict(os.environ))
    tensor_networks.main(["--spins", "8", "--steps", "1", "--workers", "1"])
    lines = capsys.readouterr().out.splitlines()
    rows = [[float(word) for word in line.split()] for line in lines[1:3]]
    for _, loss, gap, error, of_gradient, _ in rows:
        assert loss > 0.01
        assert gap > 0.3
        assert error < 1e-9
        assert of_gradient < 2e-3  # of beta = 0.1
    assert rows[1][1] < rows[0][1]
    assert "8 spins, bond 16, 4 samples, 1 steps" in lines[3]


# --- How it settles -----------------------------------------------------------------


def test_bonds_grow_to_the_ground_state_of_a_complex_hamiltonian():
    """Of H, that is, not of its conjugate."""
    pairs = [(a + b, [q, q + 1]) for q in range(9) for a in "XYZ" for b in "XYZ"]
    fields = [(a, [q]) for q in range(10) for a in "XYZ"]
    operators = [reference.at(*where, 10) for where in pairs + fields]
    row = np.random.default_rng(0).standard_normal(len(operators))
    strings, sizes = StringsOnALine.of(operators), bonds(10, 8)
    start = orthonormal(padded(_grown(strings.tensors(row), sizes), sizes))
    found = settle(start, strings.tensors(row), tolerance=1.0, max_sweeps=1)
    energies, values = reference.settle(operators, row)
    assert found.slope < 0.01
    np.testing.assert_allclose(found.energy, energies[0], atol=1e-4)
    measured = (strings.weights @ found.string_values(strings)).real
    assert np.abs(values[[2, 11, -2]]).min() > 0.01  # with Y
    np.testing.assert_allclose(measured, values, atol=0.01)


def test_a_nudged_phase_is_what_a_fresh_one_is():
    model, theta, x, _ = network("chain")
    settle = qep.TensorNetwork(8)
    free = settle(model.operators, model.coefficients(theta, x))
    nudged = model.coefficients(theta, x, 0.2)
    warm = settle(model.operators, nudged, start=free)
    fresh = settle(model.operators, nudged)
    assert np.abs(warm.values - free.values).max() > 0.01
    np.testing.assert_allclose(warm.values, fresh.values, atol=1e-8)


def test_rows_may_be_settled_anywhere():
    model, theta, x, y = network("chain")
    settle = qep.TensorNetwork(4)
    plain = qep.gradient(model, theta, x, y, equilibrium=settle)
    with ThreadPoolExecutor(2) as pool:
        spread = qep.Parallel(settle, pool, rows=1)
        found = qep.gradient(model, theta, x, y, equilibrium=spread)
    np.testing.assert_array_equal(found.values, plain.values)


@pytest.mark.parametrize("real", [True, False])
def test_a_warm_training_goes_on_bit_for_bit_and_as_a_cold_one(real, tmp_path):
    model, theta, x, y = network("chain", num_spins=8)
    if not real:
        model = replace(
            model, fixed=SparsePauliOp.from_sparse_list([("Y", [3], 0.3)], 8)
        )
    x, y = np.vstack([x, -x]), np.vstack([y, y])
    how = {"theta": theta, "seed": 3}

    def steps(warm, **how):
        settle = qep.TensorNetwork(16, warm=warm)  # bonds are exact
        how |= {"nudge": qep.Nudge.centered(0.02), "batch_size": len(x) // 2}
        return qep.steps(model, x, y, equilibrium=settle, **how)

    cold, warm = (list(islice(steps(kind, **how), 6)) for kind in (False, True))
    assert cold[-1].settled is None
    assert np.isnan(warm[0].settled).any(axis=1).sum() == len(x) // 2
    assert not np.isnan(warm[1].settled).any()
    assert np.abs(warm[-1].theta - theta).max() > 0.02
    np.testing.assert_allclose(warm[-1].theta, cold[-1].theta, atol=1e-6)
    warm[2].save(tmp_path / "state.npz")
    state = qep.State.load(tmp_path / "state.npz")
    again = list(islice(steps(True, state=state), 3))
    np.testing.assert_array_equal(again[-1].theta, warm[-1].theta)
    np.testing.assert_array_equal(again[-1].settled, warm[-1].settled)


def test_a_warm_training_grows_its_bonds_once(monkeypatch):
    model, theta, x, y = network("chain")
    grown = []
    grow = tensor_network._grown
    monkeypatch.setattr(
        tensor_network, "_grown", lambda *a: grown.append(1) or grow(*a)
    )
    for warm, times in ((True, 1), (False, 3)):
        grown.clear()
        settle = qep.TensorNetwork(4, warm=warm)
        how = {"theta": theta, "equilibrium": settle, "seed": 0}
        list(islice(qep.steps(model, x, y, **how), 3))
        assert len(grown) == times * len(x)


# --- What is refused ----------------------------------------------------------------


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"max_bond should be at least 1, got 0"):
        qep.TensorNetwork(0)
    with pytest.raises(ValueError, match=r"max_sweeps should be at least 1, got 0"):
        qep.TensorNetwork(max_sweeps=0)
    with pytest.raises(ValueError, match=r"tolerance should be positive, got -1"):
        qep.TensorNetwork(tolerance=-1)


def test_growing_without_quimb_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "quimb.tensor", None)
    model, theta, x, _ = network("chain")
    with pytest.raises(ImportError, match=r"pip install 'qiskit-qep\[tn\]'"):
        qep.predict(model, theta, x, equilibrium=qep.TensorNetwork(4))
    qep.predict(model, theta, x, equilibrium=qep.TensorNetwork(64))  # has exact bonds


def test_too_many_long_strings_are_refused():
    rng = np.random.default_rng(0)
    labels = ["".join(rng.choice(list("XYZ"), 20)) for _ in range(200)]
    with pytest.raises(ValueError, match=r"200 different strings reach across.*Exact"):
        qep.TensorNetwork()([SparsePauliOp(s) for s in labels], np.ones((1, 200)))


def test_a_start_of_another_kind_is_refused():
    model, theta, x, _ = network("chain")
    rows = model.coefficients(theta, x)
    exact = qep.Exact()(model.operators, rows)
    with pytest.raises(ValueError, match=r"384 numbers in each of 2 rows, got"):
        qep.TensorNetwork(4)(model.operators, rows, start=exact)


def test_a_row_that_did_not_converge_is_told():
    model, theta, x, _ = network("chain")
    rows = model.coefficients(theta, x)
    with pytest.warns(UserWarning, match=r"sample 0 did not converge.*max_sweeps"):
        qep.TensorNetwork(8, max_sweeps=1)(model.operators, rows[[1]])
