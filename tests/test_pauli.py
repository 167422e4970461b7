"""Pauli sums by flip mask and their compiled loops, against Kronecker products."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp

import qiskit_qep as qep
import reference
from qiskit_qep import _expectations, _kernels, _pauli, _team, _walsh
from qiskit_qep._pauli import PauliTerms


def draw_vectors(rng, batch, num_qubits, dtype=complex):
    vectors = rng.standard_normal((2, batch, 2**num_qubits))
    vectors = vectors[0] + 1j * vectors[1] if dtype is complex else vectors[0]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def string(num_qubits, flip, sign):
    """Return the Pauli string with an X mask and a Z mask."""
    letters = "IXZY"
    label = [letters[(flip >> q & 1) + 2 * (sign >> q & 1)] for q in range(num_qubits)]
    return "".join(reversed(label))


def both_parts(values, left, right):
    """Return <l|P|r> from a function that gives its real part."""
    return values(left, right) + 1j * values(left, -1j * right)


def close(a, b):
    assert np.abs(b).max() > 1e-3, "what is compared is zero"
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1, np.abs(b).max()))


# --- H v and <l|P|r> ----------------------------------------------------------------


@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
@pytest.mark.parametrize("num_qubits", range(1, 10))
def test_apply_and_dense_are_the_matrix(num_qubits, real):
    rng = np.random.default_rng(num_qubits)
    operators, _ = reference.general(rng, num_qubits, real=real)
    coefficients = rng.standard_normal((2, len(operators)))
    h = PauliTerms.of(operators).hamiltonian(coefficients)
    assert h.is_real == real
    expected = [reference.total(operators, row) for row in coefficients]
    close(h.dense(), np.array(expected))
    for dtype in (float, complex):
        vectors = draw_vectors(rng, 2, num_qubits, dtype)
        images = h.apply(vectors)
        for b in range(2):
            close(images[b], expected[b] @ vectors[b])


def test_complex_coefficients_make_a_non_hermitian_matrix():
    rng = np.random.default_rng(0)
    operators, row = reference.general(rng, 4)
    row = row + 0.5j * rng.standard_normal(len(row))
    h = PauliTerms.of(operators).hamiltonian(row[None])
    h_0 = reference.total(operators, row)
    assert np.abs(h_0 - h_0.conj().T).max() > 0.1
    v = draw_vectors(rng, 1, 4)
    close(h.apply(v)[0], h_0 @ v[0])
    close(h.dense()[0], h_0)


def check_flips(num_qubits, flips, rng):
    """Compare sums of strings of every flip alone: without signs, and with them."""
    for flip in flips:
        signed = [int(s) for s in rng.integers(1, 2**num_qubits, 2)]
        for signs in ([0], signed):
            labels = [string(num_qubits, flip, sign) for sign in signs]
            op = SparsePauliOp(labels, rng.uniform(0.5, 1.5, len(labels)))
            h = PauliTerms.of([op]).hamiltonian(np.ones((1, 1)))
            for dtype in (float, complex):
                v = draw_vectors(rng, 1, num_qubits, dtype)
                expected = reference.matrix(op) @ v[0]
                # Two strings of opposite sign can cancel on half of the amplitudes.
                assert np.abs(expected).max() > 1e-3
                np.testing.assert_allclose(h.apply(v)[0], expected, atol=1e-12)


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4, 5, 6])
def test_every_flip_of_a_small_register(num_qubits):
    check_flips(num_qubits, range(2**num_qubits), np.random.default_rng(num_qubits))


@pytest.mark.parametrize(
    "flips",
    [
        pytest.param([0, 1, 2, 4], id="none and single low bits"),
        pytest.param([8, 16, 32, 24, 56], id="whole blocks of eight"),
        pytest.param([3, 5, 6, 7, 9, 18, 36, 61, 63], id="several bits of a tile"),
        pytest.param([64, 128, 256, 192, 448], id="whole tiles"),
        pytest.param([65, 66, 68, 72, 127, 257, 384 + 5, 511], id="tiles and bits"),
    ],
)
@pytest.mark.parametrize("num_qubits", [7, 9])
def test_every_kind_of_flip_across_tiles(num_qubits, flips):
    assert _kernels.TILE_BYTES == 8 * 32  # else the kinds above are others
    flips = [flip for flip in flips if flip < 2**num_qubits]
    assert flips
    check_flips(num_qubits, flips, np.random.default_rng(num_qubits))


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("number", [1, 3, 4, 5, 7])
def test_all_kinds_of_flips_together(number, dtype):
    rng = np.random.default_rng(number)
    far = rng.choice(
        64 * np.arange(1, 8), number, replace=False
    )  # in fours, and a rest
    mixed = rng.choice([3, 5, 6, 65, 130, 260, 511], number, replace=False)
    near = rng.choice([1, 2, 4, 8, 16, 32], min(number, 6), replace=False)
    constant = [(int(flip), 0) for flip in [0, *far, *mixed, *near]]
    signed = [(int(flip), int(rng.integers(1, 512))) for flip in (far[0], 3, 1, 0)]
    labels = [string(9, *masks) for masks in (*constant, *signed)]
    op = SparsePauliOp(labels, rng.uniform(0.5, 1.5, len(labels)))
    v = draw_vectors(rng, 1, 9, dtype)
    image = PauliTerms.of([op]).hamiltonian(np.ones((1, 1))).apply(v)[0]
    close(image, reference.matrix(op) @ v[0])


@pytest.mark.parametrize("num_qubits", [1, 2, 3])
@pytest.mark.parametrize("dtype", [float, complex])
def test_expectation_of_every_string(num_qubits, dtype):
    rng = np.random.default_rng(3)
    operators = [SparsePauliOp("".join(s)) for s in product("IXYZ", repeat=num_qubits)]
    left, right = (draw_vectors(rng, 2, num_qubits, dtype) for _ in range(2))
    values = both_parts(PauliTerms.of(operators).expectations, left, right)
    for b in range(2):
        close(values[b], reference.expectations(operators, left[b], right[b]))


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("num_qubits", [5, 8])
def test_one_transform_of_all_strings_of_a_flip_equals_direct_sums(num_qubits, dtype):
    rng = np.random.default_rng(num_qubits)
    flip = int(rng.integers(1, 2**num_qubits))
    signs = rng.choice(2**num_qubits, 12, replace=False)
    strings = [SparsePauliOp(string(num_qubits, flip, int(sign))) for sign in signs]
    left, right = (draw_vectors(rng, 3, num_qubits, dtype) for _ in range(2))
    together = both_parts(PauliTerms.of(strings).expectations, left, right)
    direct = [
        both_parts(PauliTerms.of([op]).expectations, left, right)[:, 0]
        for op in strings
    ]
    close(together, np.array(direct).T)
    close(direct[5][1], reference.expectations(strings, left[1], right[1])[5])


@pytest.mark.parametrize("num_qubits", range(1, 10))
def test_expectations_of_operators_are_weighted_strings(num_qubits):
    rng = np.random.default_rng(num_qubits)
    operators, _ = reference.general(rng, num_qubits)
    left, right = (draw_vectors(rng, 2, num_qubits) for _ in range(2))
    values = both_parts(PauliTerms.of(operators).expectations, left, right)
    for b in range(2):
        close(values[b], reference.expectations(operators, left[b], right[b]))


# --- Properties ---------------------------------------------------------------------

systems = st.tuples(st.integers(1, 7), st.integers(0, 2**32 - 1))


@given(systems, st.floats(-3, 3), st.floats(-3, 3))
def test_linear_in_the_coefficients(system, a, b):
    rng = np.random.default_rng(system[1])
    operators, first = reference.general(rng, system[0])
    second = rng.standard_normal(len(operators))
    terms, v = PauliTerms.of(operators), draw_vectors(rng, 1, system[0])

    def image(row):
        return terms.hamiltonian(row[None]).apply(v)[0]

    assert np.linalg.norm(image(first)) > 1e-3
    expected = a * image(first) + b * image(second)
    np.testing.assert_allclose(image(a * first + b * second), expected, atol=1e-11)


@given(systems)
def test_hermitian(system):
    num_qubits, seed = system
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, num_qubits)
    h = PauliTerms.of(operators).hamiltonian(row[None])
    u, v = draw_vectors(rng, 1, num_qubits), draw_vectors(rng, 1, num_qubits)
    left, right = np.vdot(u, h.apply(v)), np.vdot(h.apply(u), v)
    assert abs(left) > 1e-6
    assert abs(left - right) < 1e-12 * np.abs(row).sum() * 10


@given(systems, st.floats(-2, 2))
def test_an_operator_may_be_split_in_two(system, share):
    num_qubits, seed = system
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, num_qubits)
    whole, parts = operators[-1], [share * operators[-1], (1 - share) * operators[-1]]
    v = draw_vectors(rng, 1, num_qubits)
    one, two = PauliTerms.of([*operators]), PauliTerms.of([*operators[:-1], *parts])
    assert whole.coeffs.any()
    images = [
        t.hamiltonian(r[None]).apply(v)
        for t, r in ((one, row), (two, np.append(row, row[-1])))
    ]
    np.testing.assert_allclose(images[0], images[1], atol=1e-11)
    values = one.expectations(v, v)[0, -1], two.expectations(v, v)[0, -2:].sum()
    assert abs(values[0] - values[1]) < 1e-12 * 10


@given(systems, st.floats(-1e3, 1e3))
def test_the_identity_shifts(system, shift):
    num_qubits, seed = system
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, num_qubits)
    v = draw_vectors(rng, 1, num_qubits)
    terms = PauliTerms.of([*operators, SparsePauliOp("I" * num_qubits)])
    plain = terms.hamiltonian(np.append(row, 0.0)[None]).apply(v)
    moved = terms.hamiltonian(np.append(row, shift)[None]).apply(v)
    np.testing.assert_allclose(moved, plain + shift * v, atol=1e-10)


@given(systems)
def test_real_and_complex_arithmetic_agree(system):
    num_qubits, seed = system
    rng = np.random.default_rng(seed)
    operators, row = reference.general(rng, num_qubits, real=True)
    v = draw_vectors(rng, 1, num_qubits, float)
    real = PauliTerms.of(operators)
    mixed = PauliTerms.of([*operators, SparsePauliOp("I" * (num_qubits - 1) + "Y")])
    fast = real.hamiltonian(row[None])
    slow = mixed.hamiltonian(np.append(row, 0.0)[None])
    assert (fast.is_real, slow.is_real) == (True, False)
    image = fast.apply(v)
    assert image.dtype == float
    assert np.abs(image).max() > 1e-6
    np.testing.assert_allclose(slow.apply(v), image, atol=1e-12)
    np.testing.assert_allclose(slow.dense(), fast.dense(), atol=1e-12)
    np.testing.assert_allclose(
        mixed.expectations(v.astype(complex), v.astype(complex))[:, :-1],
        real.expectations(v, v),
        atol=1e-12,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_qubits", [6, 9, 12])
def test_both_precisions_apply_the_same_matrix(monkeypatch, num_qubits, dtype):
    rng = np.random.default_rng(num_qubits)
    operators, row = reference.general(rng, num_qubits, real=True)
    for bits in (4, 18):  # with flips beyond a block, and without
        monkeypatch.setattr(_pauli, "BLOCK_BITS", bits)
        h = PauliTerms.of(operators).hamiltonian(row[None])
        v = draw_vectors(rng, 1, num_qubits, float).astype(dtype)
        out, team = np.empty_like(v), _kernels.alone(v.size)
        room, _ = _kernels.room_for(h.layout, v.size, dtype)
        _kernels.fill(h.layout, h.rows[0], room, team)
        energy = _kernels.apply(room, v[0], out[0], team)
        expected = (
            reference.matrix(
                SparsePauliOp.sum(
                    [c * op for c, op in zip(row, operators, strict=True)]
                )
            ).real
            @ v[0]
        )
        assert np.abs(expected).max() > 0.01
        atol = np.finfo(dtype).eps * 10 * np.abs(row).sum()
        np.testing.assert_allclose(out[0], expected, atol=atol)
        np.testing.assert_allclose(energy, v[0] @ expected, atol=atol)


@given(st.integers(0, 13), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_sums_of_any_signs(num_qubits, number, seed):
    rng = np.random.default_rng(seed)
    size = max(2**num_qubits, 32)
    bra, ket = rng.standard_normal((2, size))
    flip = rng.integers(size, dtype=np.uint64)
    signs = np.unique(rng.integers(size, size=number, dtype=np.uint64))
    index, out = np.arange(size, dtype=np.uint64), np.empty(len(signs))
    parity = 1.0 - 2.0 * (np.bitwise_count(index[:, None] & signs) & 1)
    for block in (32, size):
        _expectations.sums_of_flip(bra, ket, flip, signs, np.empty(block), out)
        expected = (bra * ket[index ^ flip]) @ parity
        np.testing.assert_allclose(out, expected, atol=1e-11 * size)


@given(st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_a_walsh_hadamard_transform_is_its_own_inverse(num_qubits, seed):
    a = np.random.default_rng(seed).standard_normal(2**num_qubits)
    b = a.copy()
    _walsh.walsh_hadamard(b, np.uint64(len(a) - 1))
    index = np.arange(len(a))
    signs = 1.0 - 2.0 * (np.bitwise_count(index[:, None] & index) & 1)
    np.testing.assert_allclose(b, signs @ a, atol=1e-11)
    _walsh.walsh_hadamard(b, np.uint64(len(a) - 1))
    np.testing.assert_allclose(b, len(a) * a, atol=1e-10)


@pytest.mark.parametrize("mask", [0b0001, 0b1000, 0b0110, 0b1111])
def test_a_transform_is_a_hadamard_gate_on_every_qubit_of_the_mask(mask):
    v = draw_vectors(np.random.default_rng(mask), 1, 4, float)[0]
    hadamard = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    gate = np.eye(1)
    for q in range(4):  # qubit 0 rightmost
        gate = np.kron(hadamard if mask >> q & 1 else np.eye(2), gate)
    rotated = v.copy()
    _walsh.walsh_hadamard(rotated, np.uint64(mask))
    assert np.abs(rotated - v).max() > 0.01
    close(rotated, np.sqrt(2.0) ** mask.bit_count() * (gate @ v))


# --- Rows and threads ---------------------------------------------------------------


def used_threads(monkeypatch, number):
    """Allow a number of threads; return the list of pool sizes that will be asked."""
    sizes, pool = [], _kernels.ThreadPoolExecutor

    def recorded(size):
        sizes.append(size)
        return pool(size)

    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", number)
    monkeypatch.setattr(_kernels, "ThreadPoolExecutor", recorded)
    monkeypatch.setattr(_kernels, "WORTH_A_THREAD", 4096)  # small systems are quick
    return sizes


@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
def test_the_number_of_threads_changes_no_bit(monkeypatch, real):
    rng = np.random.default_rng(11)
    operators, _ = reference.general(rng, 9, real=real)
    coefficients = rng.standard_normal((50, len(operators)))
    vectors = draw_vectors(rng, 50, 9, float if real else complex)
    terms, results = PauliTerms.of(operators), []
    for number in (1, 2, 3, 5):
        with monkeypatch.context() as patch:
            sizes = used_threads(patch, number)
            h = terms.hamiltonian(coefficients)
            phase = qep.Exact()(operators, coefficients[:8])
            results.append((h.apply(vectors), terms.expectations(vectors, vectors)))
            results[-1] += (phase.values, phase.gap, *phase.state)
            assert max(sizes, default=1) == number
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def test_threads_share_a_large_state_and_change_no_bit(monkeypatch):
    n = _team.BLOCK_BITS + 2  # four blocks: three threads have unequal shares
    masks = [
        *((1 << q, 2 << q) for q in range(n - 1)),
        (1 << n - 1, 0),
        (0, 9 << n - 4),
    ]
    terms = PauliTerms.of([SparsePauliOp(string(n, *pair)) for pair in masks])
    rng = np.random.default_rng(2)
    coefficients = rng.uniform(0.5, 1.5, (1, len(masks)))
    h, v, results = terms.hamiltonian(coefficients), draw_vectors(rng, 1, n, float), []
    for number in (1, 2, 3):
        with monkeypatch.context() as patch:
            sizes = used_threads(patch, number)
            results.append((h.apply(v)[0], terms.expectations(v, v)[0]))
            assert max(sizes, default=1) == number
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)
    index, image = np.arange(2**n), np.zeros(2**n)
    for (flip, sign), c in zip(masks, coefficients[0], strict=True):
        parity = 1.0 - 2.0 * (np.bitwise_count(index & sign) & 1)
        image[index ^ flip] += c * parity * v[0]
    close(results[0][0], image)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_transform_by_threads_is_the_transform(threads):
    bits, rng = _team.BLOCK_BITS + 2, np.random.default_rng(3)
    mask = np.uint64(2**bits - 1 - 2**4 - 2 ** (bits - 2))
    a = rng.standard_normal(2**bits)
    shared, alone = a.copy(), a.copy()
    _walsh.walsh_hadamard(alone, mask)
    with ThreadPoolExecutor(threads) as pool:
        members = _team.team_of(threads, a.size)
        list(pool.map(lambda member: _walsh.transform(shared, mask, member), members))
    np.testing.assert_allclose(shared, alone, rtol=0, atol=1e-9)
    assert np.abs(alone - a).max() > 1.0


def test_threads_settle_a_large_state_together(monkeypatch):
    model = qep.models.transverse_field_ising(
        _team.BLOCK_BITS + 1, edges="chain", readout=[0]
    )
    n = _team.BLOCK_BITS + 1
    theta = np.concatenate([np.full(n - 1, 0.3), np.full(n, 1.0), np.full(n, 0.2)])
    found = []
    for number in (1, 2):
        with monkeypatch.context() as patch:
            sizes = used_threads(patch, number)
            found.append(qep.Exact()(model.operators, model.coefficients(theta, [])))
            assert max(sizes, default=1) == number
    assert found[0].residual.max() <= 1e-10
    for name in ("values", "gap", "residual"):
        assert np.array_equal(*(getattr(phase, name) for phase in found))
    assert np.array_equal(found[0].state[0], found[1].state[0])


def test_every_row_is_computed_alone():
    rng = np.random.default_rng(5)
    operators, _ = reference.general(rng, 7)
    coefficients = rng.standard_normal((33, len(operators)))
    vectors, terms = draw_vectors(rng, 33, 7), PauliTerms.of(operators)
    whole = terms.hamiltonian(coefficients).apply(vectors)
    alone = [
        terms.hamiltonian(coefficients[b : b + 1]).apply(vectors[b : b + 1])[0]
        for b in range(33)
    ]
    assert np.array_equal(whole, alone)


# --- Reading operators --------------------------------------------------------------


def test_masks_weights_and_numbers_of_y():
    operators = [SparsePauliOp(["XIY", "ZZI"], [0.5, -2.0]), SparsePauliOp("ZZI")]
    terms = PauliTerms.of(operators)
    assert (terms.num_qubits, terms.dim) == (3, 8)
    assert terms.flips.tolist() == [0b101, 0]
    assert terms.signs.tolist() == [0b001, 0b110]
    assert terms.num_y.tolist() == [1, 0]
    assert terms.weights.toarray().tolist() == [[0.5, -2.0], [0.0, 1.0]]


def test_repeated_strings_add_up():
    terms = PauliTerms.of([SparsePauliOp(["XY", "ZI", "XY"], [1.0, 3.0, 0.5])])
    assert terms.weights.toarray().tolist() == [[1.5, 3.0]]


@pytest.mark.parametrize("num_qubits", [1, 3, 7])
def test_no_hamiltonian_is_a_hamiltonian_too(num_qubits):
    operators = [SparsePauliOp(s * num_qubits) for s in "YZX"]
    h = PauliTerms.of(operators).hamiltonian(np.zeros((2, 3)))
    v = draw_vectors(np.random.default_rng(0), 2, num_qubits)
    assert np.array_equal(h.apply(v), np.zeros_like(v))
    assert np.array_equal(h.dense(), np.zeros((2, 2**num_qubits, 2**num_qubits)))


@pytest.mark.parametrize(
    "thing", ["ZZI", 1.0, np.eye(8)], ids=["str", "float", "array"]
)
def test_other_operators_are_refused(thing):
    name = type(thing).__name__
    with pytest.raises(TypeError, match=f"operator 1 is a {name}.*SparsePauliOp"):
        PauliTerms.of([SparsePauliOp("ZZI"), thing])


# --- Compilation --------------------------------------------------------------------


def test_a_first_call_says_that_it_compiles_and_later_ones_are_silent(tmp_path):
    code = (
        "import numpy as np\n"
        "from qiskit_qep import _tridiagonal\n"
        "one = np.ones(2)\n"
        "_tridiagonal.bounds(one, one, 2)\n"
        "_tridiagonal.eigenvalues_below(one, one, 2, 0.5)\n"
    )

    def said():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout + done.stderr

    notice = "qiskit_qep compiles for this machine, which is done once"
    assert said().count(notice) == 1
    assert said() == ""
