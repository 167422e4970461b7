"""Models: operators with roles, their coefficients, and the way back to theta and x."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from multiprocessing import get_context

import numpy as np
import pytest
import rustworkx as rx
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp
from qiskit.transpiler import CouplingMap

import qiskit_qep as qep
import reference

ising = qep.models.transverse_field_ising


@dataclass(frozen=True)
class Springs:
    """Springs to clamped atoms at x: energy k/2 (r - x)^2 has coefficients k, -k x.

    Two trainable operators and two inputs; a third number of theta stretches x.
    """

    num_trainable: int = 3
    num_inputs: int = 2

    def coefficients(self, theta, x):
        k, stretch = theta[:2], theta[2]
        return np.hstack([np.tile(k, (len(x), 1)), -k * np.sinh(stretch * x)])

    def pullback(self, theta, x, v):
        k, stretch = theta[:2], theta[2]
        by_k = v[:, :2] - v[:, 2:] * np.sinh(stretch * x)
        by_argument = -v[:, 2:] * k * np.cosh(stretch * x)
        by_stretch = (by_argument * x).sum(axis=1, keepdims=True)
        return np.hstack([by_k, by_stretch]), by_argument * stretch

    def initial(self, rng):
        return rng.uniform(0.5, 1.0, 3)


def springs(*_):
    return Springs()


LABELS = {"trainable": ["ZZ", "XI"], "inputs": ["ZI", "IZ"], "readout": ["IZ"]}
SPRINGS = qep.Model(**LABELS, fixed="YY", parametrization=springs)
DIRECT = qep.Model(**LABELS, fixed="YY")
MODELS = {
    "direct": DIRECT,
    "no inputs": qep.Model(["ZZ", "XX"], readout=["ZI"]),
    "linear": qep.linear_inputs(DIRECT, 3),
    "linear, nested": qep.linear_inputs(qep.linear_inputs(DIRECT, 3), 4),
    "springs": SPRINGS,
    "springs, linear": qep.linear_inputs(SPRINGS, 3),
    "Ising": ising(3, inputs=[0, 2], readout=[1]),
}


def draw(model, seed=0, batch=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(model.num_trainable), rng.standard_normal(
        (batch, model.num_inputs)
    )


# --- Coefficients and the Hamiltonian -----------------------------------------------


def test_roles_come_in_order():
    roles = ("ZZ", "XI", "ZI", "IZ", "IZ", "YY")
    assert list(DIRECT.operators) == [SparsePauliOp(label) for label in roles]
    assert (DIRECT.num_trainable, DIRECT.num_inputs, DIRECT.num_readout) == (2, 2, 1)
    row = DIRECT.coefficients([1.0, 2.0], [3.0, 4.0], 5.0)
    assert row.tolist() == [[1.0, 2.0, 3.0, 4.0, 5.0, 1.0]]
    assert DIRECT.readout_columns == slice(4, 5)
    assert DIRECT.num_driven == 4
    assert "2 trainable, 2 inputs, 1 readout; 2 qubits" in repr(DIRECT)


def test_a_nudge_is_one_number_or_one_per_sample_and_readout():
    model = ising(3, inputs=[0], readout=[1, 2])
    theta, x = draw(model, batch=2)
    nudge = np.array([[0.1, 0.2], [0.3, 0.4]])
    columns = model.readout_columns
    assert not model.coefficients(theta, x)[:, columns].any()
    assert (model.coefficients(theta, x, 0.5)[:, columns] == 0.5).all()
    assert np.array_equal(model.coefficients(theta, x, nudge)[:, columns], nudge)
    assert np.array_equal(
        model.coefficients(theta, x, nudge * 1j)[:, columns], nudge * 1j
    )
    assert model.coefficients(theta, x, nudge).dtype == float


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_hamiltonian_is_the_sum_of_its_operators(model):
    theta, x = draw(model, batch=1)
    nudge = np.linspace(0.3, 0.7, model.num_readout)[None]
    h = model.hamiltonian(theta, x, nudge)
    assert isinstance(h, SparsePauliOp)
    row = model.coefficients(theta, x, nudge)[0]
    expected = reference.total(model.operators, row)
    np.testing.assert_allclose(reference.matrix(h).toarray(), expected, atol=1e-12)
    free = reference.matrix(model.hamiltonian(theta, x)).toarray()
    pushed = reference.total(model.readout, nudge[0])
    assert np.abs(pushed).max() > 0.1
    np.testing.assert_allclose(expected - free, pushed, atol=1e-12)


def test_a_hamiltonian_keeps_its_weakest_terms():
    h = DIRECT.hamiltonian(THETA, X[:1], 1e-9)
    assert dict(h.to_list())["IZ"] == pytest.approx(1 + 1e-9, rel=1e-15)
    h = DIRECT.hamiltonian(1e-9 * THETA, 0 * X[:1], 0.0)
    assert dict(h.to_list()).get("XI") == pytest.approx(1e-9)


def test_a_hamiltonian_written_by_hand():
    theta, x = [0.1, 0.2, 0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [[0.7, 0.8]]
    model = ising(3, inputs=[0, 2], readout=[1])
    by_hand = SparsePauliOp(
        ["IZZ", "ZIZ", "ZZI", "IIX", "IXI", "XII", "IIZ", "IZI", "ZII", "IZI"],
        [-0.1, -0.2, -0.3, -1.0, -2.0, -3.0, -4.0 - 0.7, -5.0, -6.0 - 0.8, 0.9],
    )
    h = model.hamiltonian(theta, x, 0.9)
    np.testing.assert_allclose(
        reference.matrix(h).toarray(), reference.matrix(by_hand).toarray(), atol=1e-12
    )


def test_other_operators_are_carried_as_they_are():
    thing = object()
    model = qep.Model([thing, "ZZ"], readout=["ZI"])
    assert model.operators[0] is thing
    with pytest.raises(TypeError, match="hamiltonian needs Pauli operators, got <obj"):
        model.hamiltonian([1.0, 1.0], [])


def test_labels_paulis_and_sums_are_the_same_operator():
    forms = ["XY", Pauli("XY"), SparsePauliOp("XY")]
    for form in forms:
        assert qep.Model([form]).operators[0] == SparsePauliOp("XY")
    assert list(qep.Model(PauliList(["XY", "ZZ"])).operators) == [
        SparsePauliOp("XY"),
        SparsePauliOp("ZZ"),
    ]


def test_a_model_keeps_its_operators():
    given = SparsePauliOp(["XX", "ZZ"], [1.0, 2.0])
    model = qep.Model([given])
    given.coeffs[0] = 7.0
    assert model.operators[0].coeffs.tolist() == [1.0, 2.0]
    assert model.operators is model.operators
    assert model.operators.terms is model.operators.terms
    x, theta = np.ones((2, 0)), np.ones(1)
    model.coefficients(theta, x)
    assert (theta == 1).all()


# --- The way back -------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_pullback_is_the_transposed_jacobian(model):
    theta, x = draw(model, seed=1)
    v = np.random.default_rng(2).standard_normal((len(x), len(model.operators)))
    driven = v[:, : model.num_driven]

    def along(theta, row, b):  # v . lambda(theta, x) of sample b
        return driven[b] @ model.coefficients(theta, row)[0, : model.num_driven]

    by_theta, by_x = model.pullback(theta, x, v)
    assert by_theta.shape == (3, model.num_trainable)
    assert by_x.shape == (3, model.num_inputs)
    for b, row in enumerate(x):
        expected = reference.five_point(lambda t, b=b, r=row: along(t, r, b), theta)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(by_theta[b], expected, atol=1e-9)
        if model.num_inputs:
            expected = reference.five_point(lambda r, b=b: along(theta, r, b), row)
            assert np.abs(expected).max() > 0.01
            np.testing.assert_allclose(by_x[b], expected, atol=1e-9)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_pullback_is_linear(model):
    theta, x = draw(model, seed=1)
    u, v = np.random.default_rng(3).standard_normal((2, 3, len(model.operators)))
    for n in (0, 1):
        whole = model.pullback(theta, x, 2.0 * u - 3.0 * v)[n]
        parts = 2.0 * model.pullback(theta, x, u)[n], model.pullback(theta, x, v)[n]
        np.testing.assert_allclose(whole, parts[0] - 3.0 * parts[1], atol=1e-11)


def test_linear_inputs_are_b_plus_v_f():
    model = qep.linear_inputs(DIRECT, 3)
    assert (model.num_trainable, model.num_inputs) == (2 + 2 + 6, 3)
    theta = np.array([1.0, 2.0, 10.0, 20.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    row = model.coefficients(theta, [1.0, 0.0, -1.0])[0]
    assert row[:4].tolist() == [1.0, 2.0, 10.0 + 1.0 - 3.0, 20.0 + 4.0 - 6.0]
    assert model.operators == DIRECT.operators


def test_where_training_starts():
    rng = np.random.default_rng
    wide = qep.linear_inputs(ising(4, inputs=[0, 1]), 1000, scale=0.3)
    theta = wide.initial(rng(0))
    assert theta.shape == (wide.num_trainable,)
    assert np.array_equal(theta, wide.initial(rng(0)))
    assert not np.array_equal(theta, wide.initial(rng(1)))
    base = wide.num_trainable - 2 * 1001
    assert not theta[base : base + 2].any()
    # 2000 numbers: their standard deviation is known to 1.6 %, here within 5 sigma.
    assert theta[base + 2 :].std() == pytest.approx(0.3 / np.sqrt(1000), rel=0.08)
    made = qep.direct(2, 1, center=(1.0, -2.0), width=(0.1, 0.3))
    draws = np.array([made.initial(rng(seed)) for seed in range(400)])
    np.testing.assert_allclose(draws.mean(axis=0), [1.0, -2.0], atol=5 * 0.3 / 20)
    np.testing.assert_allclose(draws.std(axis=0), [0.1, 0.3], rtol=5 / np.sqrt(800))
    draws = np.array([ising(3).initial(rng(seed)) for seed in range(100)])
    means = draws.mean(axis=0)  # of J, h and b, three each
    assert means[3:6].min() > 10 * np.abs(np.delete(means, [3, 4, 5])).max()


# --- transverse_field_ising ---------------------------------------------------------


def graph(pairs, directed=False):
    made = (rx.PyDiGraph if directed else rx.PyGraph)()
    made.add_nodes_from(range(4))
    made.add_edges_from_no_data(pairs)
    return made


EDGES = {
    "complete": (None, list(combinations(range(4), 2))),
    "chain": ("chain", [(0, 1), (1, 2), (2, 3)]),
    "ring": ("ring", [(0, 1), (1, 2), (2, 3), (0, 3)]),
    "pairs in their order": ([(3, 1), (0, 1)], [(3, 1), (0, 1)]),
    "generator": (((k, 3) for k in range(2)), [(0, 3), (1, 3)]),
    "array": (np.array([[2, 3], [0, 1]]), [(2, 3), (0, 1)]),
    "none": ([], []),
    "PyGraph": (graph([(3, 1), (1, 0), (2, 1)]), [(0, 1), (1, 2), (1, 3)]),
    "PyDiGraph": (graph([(1, 0), (0, 1), (2, 3)], True), [(0, 1), (2, 3)]),
    "CouplingMap": (CouplingMap([[1, 0], [0, 1], [3, 2]]), [(0, 1), (2, 3)]),
    "CouplingMap.from_line": (
        CouplingMap.from_line(4),
        [(0, 1), (1, 2), (2, 3)],
    ),
}


@pytest.mark.parametrize(("edges", "pairs"), EDGES.values(), ids=EDGES)
def test_edges_in_every_form(edges, pairs):
    model = ising(4, edges=edges, inputs=[2], readout=[3])
    couplings = [
        SparsePauliOp.from_sparse_list([("ZZ", pair, -1.0)], 4) for pair in pairs
    ]
    single = [
        SparsePauliOp.from_sparse_list([(letter, [k], sign)], 4)
        for letter, k, sign in [
            *(("X", k, -1.0) for k in range(4)),
            *(("Z", k, -1.0) for k in range(4)),
            ("Z", 2, -1.0),
            ("Z", 3, 1.0),
        ]
    ]
    assert list(model.operators) == couplings + single
    assert model.num_trainable == len(pairs) + 8


@pytest.mark.parametrize(
    ("num_spins", "edges", "number"),
    [(1, None, 0), (1, "ring", 0), (2, "ring", 1), (3, "ring", 3), (2, "chain", 1)],
)
def test_small_networks_repeat_no_edge(num_spins, edges, number):
    assert ising(num_spins, edges=edges).num_trainable == number + 2 * num_spins


def test_without_bias_the_prediction_is_odd():
    model = ising(4, inputs=[0, 1], readout=[3], bias=False)
    assert model.num_trainable == 6 + 4
    theta, x = draw(model, seed=3, batch=1)
    p, mirrored = (qep.predict(model, theta, sign * x) for sign in (1, -1))
    assert np.abs(p).min() > 0.01
    np.testing.assert_allclose(mirrored, -p, atol=1e-9)


# --- Errors -------------------------------------------------------------------------

ONE = SparsePauliOp("ZZ")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: qep.Model([]), r"at least one operator, got none"),
        (lambda: qep.Model("ZZ"), r"trainable should be a list .*got 'ZZ'"),
        (lambda: qep.Model([ONE], readout=ONE), r"readout should be a list .*\['ZZ'\]"),
        (lambda: qep.Model([ONE], inputs=Pauli("ZZ")), r"inputs should be a list .*ZZ"),
        (lambda: qep.Model(["ZZ", "Z"]), r"one register, got 1 qubits and 2 qubits"),
        (
            lambda: qep.Model(["ZZ"], fixed="ZZZ"),
            r"one register, got 2 qubits and 3",
        ),
        (lambda: qep.Model([1j * ONE]), r"(?s)trainable .*Hermitian.*ZZ.*1\.?j"),
        (lambda: qep.Model([ONE], fixed=Pauli("iXX")), r"fixed .*Hermitian.*XX"),
        (
            lambda: qep.Model([ONE], inputs=[np.nan * ONE]),
            r"(?s)inputs .*finite, .*nan",
        ),
        (lambda: qep.linear_inputs(qep.Model([ONE]), 2), r"with inputs, got Model\(1 "),
        (lambda: qep.linear_inputs(DIRECT, 0), r"num_features .*at least 1, got 0"),
        (lambda: ising(0), r"num_spins should be at least 1, got 0"),
        (lambda: ising(3, inputs=[0, 3]), r"inputs should be spins 0 to 2, got 3"),
        (lambda: ising(3, readout=[-1]), r"readout should be spins 0 to 2, got -1"),
        (
            lambda: ising(3, edges="star"),
            r"edges should be 'chain' or 'ring', got 'sta",
        ),
        (lambda: ising(3, edges=[(0, 3)]), r"spins 0 to 2, got \(0, 3\)"),
        (lambda: ising(3, edges=[(1, 1)]), r"join two .*got \(1, 1\)"),
        (lambda: ising(3, edges=[(0, -1)]), r"spins 0 to 2, got \(0, -1\)"),
        (lambda: ising(3, edges=[(0, 1), (1, 0)]), r"not repeat, got \(1, 0\) twice"),
        (lambda: ising(3, edges=graph([(0, 3)])), r"spins 0 to 2, got \(0, 3\)"),
    ],
)
def test_models_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


THETA, X = np.ones(2), np.ones((3, 2))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((THETA[:1], X), r"theta should have shape \(2,\), got \(1,\)"),
        ((THETA[None], X), r"theta should have shape \(2,\), got \(1, 2\)"),
        ((THETA * np.nan, X), r"theta should be finite, got nan at \(0,\)"),
        (([1.0, np.inf], X), r"theta should be finite, got inf at \(1,\)"),
        ((THETA * 1j, X), r"theta should be real, got complex128"),
        ((THETA, X[:, :1]), r"x should have shape \(batch, 2\), got \(3, 1\)"),
        ((THETA, X[None]), r"x should have shape \(batch, 2\), got \(1, 3, 2\)"),
        (
            (THETA, [[1.0, 2.0], [3.0, np.nan]]),
            r"x should be finite, got nan at \(1, 1",
        ),
        ((THETA, X * 1j), r"x should be real, got complex128"),
        (
            (THETA, X, np.ones((3, 2))),
            r"nudge should have shape \(3, 1\) .*got \(3, 2\)",
        ),
        (
            (THETA, X, np.ones((2, 1))),
            r"nudge should have shape \(3, 1\) .*got \(2, 1\)",
        ),
        ((THETA, X, np.nan), r"nudge should be finite, got nan"),
    ],
)
def test_numbers_that_are_refused(args, message):
    with pytest.raises(ValueError, match=message):
        DIRECT.coefficients(*args)


def test_a_hamiltonian_is_of_one_row():
    with pytest.raises(ValueError, match="takes one row of x, got 3"):
        DIRECT.hamiltonian(THETA, X)


def test_a_parametrization_that_is_none():
    with pytest.raises(TypeError, match=r"\(1, 0\) is no Parametrization"):
        qep.Model(["ZZ"], parametrization=lambda *sizes: sizes)


# --- Identity, copies, processes ----------------------------------------------------


def test_the_fingerprint_is_that_of_the_physics():
    again = qep.Model(
        [SparsePauliOp("ZZ"), Pauli("XI")], ["ZI", "IZ"], ["IZ"], fixed="YY"
    )
    assert again.fingerprint == DIRECT.fingerprint
    assert len(DIRECT.fingerprint) >= 16
    one = qep.Model([SparsePauliOp(["XX", "ZZ"], [1.0, 2.0])])
    other = qep.Model([SparsePauliOp(["ZZ", "XX", "ZZ"], [0.5, 1.0, 1.5])])
    assert one.fingerprint == other.fingerprint


CHANGES = {
    "another operator": qep.Model(**{**LABELS, "trainable": ["ZZ", "IX"]}, fixed="YY"),
    "another order": qep.Model(**{**LABELS, "trainable": ["XI", "ZZ"]}, fixed="YY"),
    "another number": qep.Model(
        **{**LABELS, "trainable": ["ZZ", SparsePauliOp("XI", 1.0 + 1e-9)]}, fixed="YY"
    ),
    "another role": qep.Model(["ZZ", "XI", "ZI"], ["IZ"], ["IZ"], fixed="YY"),
    "readout instead of fixed": qep.Model(**{**LABELS, "readout": ["IZ", "YY"]}),
    "nothing fixed": qep.Model(**LABELS),
    "another parametrization": SPRINGS,
    "linear inputs": MODELS["linear"],
    "more features": qep.linear_inputs(DIRECT, 4),
    "nested": MODELS["linear, nested"],
    "linear inputs to springs": MODELS["springs, linear"],
    "a weak term": qep.Model(**LABELS, fixed=SparsePauliOp(["YY", "XX"], [1, 1e-9])),
    "a weaker term": qep.Model(**LABELS, fixed=SparsePauliOp(["YY", "XX"], [1, 2e-9])),
    "a weak operator": qep.Model(**LABELS, fixed=1e-9 * SparsePauliOp("YY")),
    "a weaker operator": qep.Model(**LABELS, fixed=2e-9 * SparsePauliOp("YY")),
}


def test_the_fingerprint_changes_with_the_model():
    seen = {DIRECT.fingerprint: "the model"}
    for name, model in CHANGES.items():
        assert model.fingerprint not in seen, f"{name} is {seen[model.fingerprint]}"
        seen[model.fingerprint] = name


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_copies_are_the_same_model(model, make):
    theta, x = draw(model)
    expected = qep.predict(model, theta, x)  # fills what the model keeps
    copied = make(model)
    assert copied.fingerprint == model.fingerprint
    assert copied.operators == model.operators
    assert np.array_equal(copied.coefficients(theta, x), model.coefficients(theta, x))
    assert np.array_equal(qep.predict(copied, theta, x), expected)


def test_operators_travel_to_other_processes():
    model = MODELS["Ising"]
    theta, x = draw(model)
    rows = model.coefficients(theta, x)
    here = qep.Exact()(model.operators, rows)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(qep.Exact(), model.operators, rows).result()
    assert np.array_equal(there.values, here.values)
    assert np.array_equal(there.state[0], here.state[0])


def test_a_model_cannot_be_changed_but_replaced():
    with pytest.raises(AttributeError, match="cannot assign to field 'fixed'"):
        DIRECT.fixed = None
    changed = replace(DIRECT, fixed="XX")
    assert changed.operators[-1] == SparsePauliOp("XX")
    assert DIRECT.operators[-1] == SparsePauliOp("YY")


def test_a_replaced_role_keeps_its_sizes_right():
    grown = replace(DIRECT, trainable=["ZZ", "XI", "IX"])
    with pytest.raises(ValueError, match="parametrization"):
        grown.coefficients(np.ones(2), np.ones(2))
