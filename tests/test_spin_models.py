"""Spin models: Hamiltonians by Kronecker products, energies by other theories."""

from functools import reduce
from itertools import combinations, product

import numpy as np
import pytest
import rustworkx as rx
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap
from scipy import sparse
from scipy.sparse.linalg import eigsh

import qiskit_qep as qep
import reference
from qiskit_qep.runtime.groups import measurement_settings

models = qep.models
MATRIX = {letter: sparse.csr_array(m) for letter, m in reference.PAULI.items()}


def matrix(num_spins, terms):
    """Return sum c P of (c, {spin: letter}) by Kronecker products, spin 0 rightmost."""
    total = 0.0
    for c, letters in terms:
        ordered = [MATRIX[letters.get(k, "I")] for k in reversed(range(num_spins))]
        total = total + c * reduce(sparse.kron, ordered)
    return total


def fields(letter, values, sign=-1.0):
    return [(sign * v, {k: letter}) for k, v in enumerate(values)]


def energy(model, theta, x=()):
    """Return the energies of a model, by diagonalisation."""
    row = model.coefficients(theta, x)[0]
    return np.linalg.eigvalsh(reference.total(model.operators, row))


def draw(model, seed=0):
    rng = np.random.default_rng(seed)
    sizes = (model.num_trainable, model.num_inputs)
    return [rng.standard_normal(size) for size in sizes]


# --- Hamiltonians, term by term -----------------------------------------------------


def cluster_ring(t):
    n = 5
    terms = [(t[j], {j: "Z", (j + 1) % n: "X", (j + 2) % n: "Z"}) for j in range(n)]
    terms += [(-t[n + j], {j: "Z", (j + 1) % n: "Z"}) for j in range(n)]
    return [*terms, *fields("X", t[2 * n :])]


def cluster_chain(t):
    terms = [(t[j], {j: "Z", j + 1: "X", j + 2: "Z"}) for j in range(2)]
    terms += [(-t[2 + j], {j: "Z", j + 1: "Z"}) for j in range(3)]
    return [*terms, *fields("X", t[5:])]


PAIRS = [(0, 2), (1, 2), (0, 3)]


def heisenberg(t):
    terms = [
        (c, dict.fromkeys(pair, a))
        for c, pair in zip(t, PAIRS, strict=False)
        for a in "XYZ"
    ]
    return [*terms, *fields("X", t[3:7]), *fields("Z", t[7:])]


def xxz(t):
    terms = [
        (t[m + 3 * (a == "Z")], dict.fromkeys(pair, a))
        for m, pair in enumerate(PAIRS)
        for a in "XYZ"
    ]
    return [*terms, *fields("Y", t[6:])]


def xx_zz(t):
    terms = [
        (t[m + 3 * (a == "Z")], dict.fromkeys(pair, a))
        for m, pair in enumerate(PAIRS)
        for a in "XZ"
    ]
    return [*terms, *fields("X", t[6:])]


def rydberg(t, v=3.0):
    """n n = (1 - Z - Z' + ZZ') / 4."""
    terms = [*fields("X", t[:4], 0.5)]
    for k, detuning in enumerate(t[4:]):
        terms += [(-detuning / 2, {}), (detuning / 2, {k: "Z"})]
    for j, k in combinations(range(4), 2):
        c = v / abs(j - k) ** 6 / 4
        terms += [(c, {}), (-c, {j: "Z"}), (-c, {k: "Z"}), (c, {j: "Z", k: "Z"})]
    return terms


def honeycomb(t):
    """A of cell (r, c) is 2 (2 r + c); links of the torus by hand."""
    links = {  # kind: B's of the A's 0, 2, 4, 6
        "X": (3, 1, 7, 5),
        "Y": (5, 7, 1, 3),
        "Z": (1, 3, 5, 7),
    }
    return [
        (-t[4 * m + cell], {2 * cell: a, b: a})
        for m, (a, others) in enumerate(links.items())
        for cell, b in enumerate(others)
    ]


def inputs_on(spins, x, letter="Z"):
    return [(-v, {k: letter}) for k, v in zip(spins, x, strict=True)]


HOW = {"inputs": [1, 0], "readout": [2]}
CASES = {
    "cluster_ising, ring": (models.cluster_ising(5, **HOW), cluster_ring, 5),
    "cluster_ising, chain": (
        models.cluster_ising(4, edges="chain", **HOW),
        cluster_chain,
        4,
    ),
    "heisenberg": (models.heisenberg(4, edges=PAIRS, **HOW), heisenberg, 4),
    "xxz": (models.xxz(4, edges=PAIRS, fields="Y", **HOW), xxz, 4),
    "xx_zz_network": (models.xx_zz_network(4, edges=PAIRS, **HOW), xx_zz, 4),
    "kitaev_honeycomb": (models.kitaev_honeycomb(2, 2, **HOW), honeycomb, 8),
}


@pytest.mark.parametrize(("model", "terms", "size"), CASES.values(), ids=CASES)
def test_the_hamiltonian_is_that_of_the_docstring(model, terms, size):
    theta, x = draw(model)
    asked = [*terms(theta), *inputs_on((1, 0), x), (0.7, {2: "Z"})]
    expected = matrix(size, asked).toarray()
    made = model.hamiltonian(theta, x, 0.7).to_matrix()
    np.testing.assert_allclose(made, expected, atol=1e-13)
    assert np.abs(expected).max() > 1


def test_the_hamiltonian_of_rydberg_atoms():
    model = models.rydberg_chain(4, interaction=3.0, **HOW)
    theta, x = draw(model)
    shifted = theta.copy()
    shifted[[5, 4]] += x  # inputs are detunings
    made = model.hamiltonian(theta, x, 0.7).to_matrix()
    expected = matrix(4, [*rydberg(shifted), (0.7, {2: "Z"})]).toarray()
    np.testing.assert_allclose(made, expected, atol=1e-13)


def sensor(t, x, system, size):
    """The sensor's terms of the published code, in its order, and the system's."""
    own = "XYZ"
    sites = [(k, a) for k in (0, 1) for a in own]
    spins = [(k, a) for k in (size, size + 1) for a in own]
    terms = [{i: a, s: b} for (i, a), (s, b) in product(sites, spins)]
    terms += [{s: b} for s, b in spins]
    terms += [{size: a, size + 1: b} for a, b in product(own, own)]
    return matrix(size + 2, [*zip(t, terms, strict=True), *system(x, size)])


def cluster_system(x, size):
    def ring(j, letters):
        return {(j + k) % size: a for k, a in enumerate(letters)}

    return [
        (sign * g, ring(j, letters))
        for g, sign, letters in zip(x, (1, -1, -1), ("ZXZ", "ZZ", "X"), strict=True)
        for j in range(size)
    ]


def kitaev_system(x, size):
    assert size == 8
    return honeycomb(np.repeat(x, 4))


SENSORS = {
    "cluster": (models.cluster_sensor(), 8, cluster_system),
    "cluster, small ring": (models.cluster_sensor(4), 4, cluster_system),
    "Kitaev": (models.kitaev_sensor(), 8, kitaev_system),
}


@pytest.mark.parametrize(("model", "size", "system"), SENSORS.values(), ids=SENSORS)
def test_predictions_of_a_sensor_for_given_parameters(model, size, system):
    """On points of the phase diagram where it is not nearly degenerate."""
    theta = np.random.default_rng(3).standard_normal(51)
    x, _ = qep.datasets.kitaev_honeycomb(40, seed=5)
    x = x[x.max(axis=1) < 2][:2]
    bits = np.arange(1 << (size + 2))
    a, b = 1 - 2 * (bits >> size & 1), 1 - 2 * (bits >> size + 1 & 1)
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))[: model.num_readout]
    expected = []
    for point in x:
        h = sensor(theta, point, system, size)
        if size < 8:
            state = np.linalg.eigh(h.toarray())[1][:, 0]
        else:
            state = eigsh(h.tocsr(), k=1, which="SA", ncv=60)[1][:, 0]
        weights = np.abs(state) ** 2
        expected.append([weights[(a == s) & (b == t)].sum() for s, t in signs])
    found = qep.predict(model, theta, x)
    assert np.ptp(expected, axis=0).max() > 0.02
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_the_cluster_sensors_grid_of_predictions():
    """At given parameters all over the triangle, its corners and sides included."""
    model, rng = models.cluster_sensor(), np.random.default_rng(1)
    theta = np.concatenate([rng.uniform(-0.4, 0.4, 36), rng.standard_normal(15)])
    ticks = np.linspace(0, 4, 5)
    x = [(zxz, 4 - x - zxz, x) for x in ticks for zxz in ticks if x + zxz <= 4]
    assert len(x) == 15
    bits = np.arange(1 << 10)
    a, b = 1 - 2 * (bits >> 8 & 1), 1 - 2 * (bits >> 9 & 1)
    parts = [sensor(theta, unit, cluster_system, 8).tocsr() for unit in np.eye(3)]
    alone = sensor(theta, np.zeros(3), cluster_system, 8).tocsr()
    expected = []
    for point in x:
        h = alone + sum(g * (h - alone) for g, h in zip(point, parts, strict=True))
        energies, states = eigsh(h, k=2, which="SA", ncv=60)
        assert abs(energies[1] - energies[0]) > 0.01
        weights = np.abs(states[:, energies.argmin()]) ** 2
        outcomes = ((1, 1), (1, -1), (-1, -1))
        expected.append([weights[(a == s) & (b == t)].sum() for s, t in outcomes])
    found = qep.predict(model, theta, x)
    assert np.ptp(expected, axis=0).max() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_sensor_is_measured_in_nine_settings():
    model = models.cluster_sensor()
    assert model.num_trainable == 51
    assert len(measurement_settings(qep.Model(model.trainable).operators.terms)) == 9
    start = np.array([model.initial(np.random.default_rng(s)) for s in range(200)])
    np.testing.assert_allclose(start[:, :36].std(), 0.06, rtol=0.05)
    np.testing.assert_allclose(start[:, 36:].std(), 1.0, rtol=0.05)


# --- Energies by other theories -----------------------------------------------------


@pytest.mark.parametrize("num_spins", [4, 8])
def test_cluster_rings_are_free_fermions(num_spins):
    """Where prod X = 1, E0 = - sum |g_X + g_ZZ e^ik + g_ZXZ e^2ik|, k half-integer."""
    model = models.cluster_ising(num_spins, uniform=True)
    k = 2 * np.pi * (np.arange(num_spins) + 0.5) / num_spins
    for theta in np.random.default_rng(0).uniform(0.1, 2.0, (6, 3)):
        g_zxz, g_zz, g_x = theta
        bands = np.abs(g_x + g_zz * np.exp(1j * k) + g_zxz * np.exp(2j * k))
        flip = [(1.0, dict.fromkeys(range(num_spins), "X"))]
        parity = matrix(num_spins, flip).toarray().real
        row = model.coefficients(theta, [])[0]
        even = reference.total(model.operators, row) - 100 * parity
        lowest = np.linalg.eigvalsh(even)[0] + 100
        np.testing.assert_allclose(lowest, -bands.sum(), atol=1e-9)


def bethe(num_spins):
    """Return the energy of the Heisenberg ring, sum of S S, by the Bethe ansatz."""
    half = num_spins // 2
    numbers = np.arange(half) - (half - 1) / 2
    roots = np.zeros(half)
    for _ in range(500):
        phases = np.arctan(roots[:, None] - roots).sum(axis=1)
        roots = np.tan((np.pi * numbers + phases) / num_spins) / 2
    return num_spins / 4 - (2 / (1 + 4 * roots**2)).sum()


@pytest.mark.parametrize(
    ("num_spins", "known"), [(4, -2.0), (6, -2.8027756), (8, None)]
)
def test_heisenberg_rings_by_the_bethe_ansatz(num_spins, known):
    """In Pauli matrices the energy is four times that of S = 1/2: -8 for four spins."""
    if known is not None:
        assert bethe(num_spins) == pytest.approx(known, abs=1e-7)
    for model, theta in (
        (models.heisenberg(num_spins, edges="ring", fields="", uniform=True), [1.0]),
        (models.xxz(num_spins, edges="ring", fields="", uniform=True), [1.0, 1.0]),
    ):
        assert energy(model, theta)[0] == pytest.approx(4 * bethe(num_spins), abs=1e-9)


def test_xx_chains_are_free_fermions():
    """Open XX chain: H = 2 sum (c+ c + h.c.), levels 4 J cos(k), half filled."""
    model = models.xxz(6, edges="chain", fields="", uniform=True)
    k = np.pi * np.arange(1, 7) / 7
    levels = 4 * 0.7 * np.cos(k)
    assert energy(model, [0.7, 0.0])[0] == pytest.approx(levels[levels < 0].sum())


def test_blockaded_atoms_are_one_large_atom():
    """N atoms closer than the blockade radius: drive sqrt(N) Omega, one excitation."""
    model = models.rydberg_chain(3, interaction=1e7, readout=[0, 1, 2], uniform=True)
    omega, detuning = 0.8, 0.6
    two = np.array([[0, omega * np.sqrt(3) / 2], [omega * np.sqrt(3) / 2, -detuning]])
    # |0 1 0> repels nobody: the outer pair is at distance 2, V / 64 is still large.
    assert energy(model, [omega, detuning])[0] == pytest.approx(
        np.linalg.eigvalsh(two)[0], abs=1e-5
    )


# --- Kitaev's honeycomb -------------------------------------------------------------

TORUS = (2, 2)
DRAWS = np.random.default_rng(7).uniform(0.3, 1.5, (6, 12))


def majorana(theta):
    """Return the lowest energy of every flux sector, even and odd, by free Majoranas.

    H = i sum J_jk u_jk c_A c_B: the energy is minus the sum of the singular values of
    J u, and one fermion more costs twice the smallest. Whether the vacuum is even is
    the sign of det(J u) prod u, up to one constant of the lattice.
    """
    rows, columns = TORUS
    cells = list(product(range(rows), range(columns)))

    def matrix(u):
        m = np.zeros((4, 4))
        for k, (r, c) in enumerate(cells):
            across = [(r, c - 1), (r - 1, c), (r, c)]
            for kind, (s, t) in enumerate(across):
                b = s % rows * columns + t % columns
                m[k, b] += theta[4 * kind + k] * u[kind, k]
        return m

    sectors = {1: np.inf, -1: np.inf}
    for signs in product((1, -1), repeat=8):  # a gauge: all z-links are +1
        u = np.concatenate([np.reshape(signs, (2, 4)), np.ones((1, 4))])
        m = matrix(u)
        modes = np.linalg.svd(m, compute_uv=False)
        vacuum = int(np.sign(np.linalg.det(m)) * np.prod(u))
        for parity, cost in ((vacuum, 0.0), (-vacuum, 2 * modes.min())):
            sectors[parity] = min(sectors[parity], cost - modes.sum())
    return sectors


def test_the_honeycombs_energy_is_that_of_free_majoranas():
    model = models.kitaev_honeycomb(*TORUS)
    found = np.array([energy(model, theta)[0] for theta in DRAWS])
    sectors = [majorana(theta) for theta in DRAWS]
    by_parity = {p: np.array([s[p] for s in sectors]) for p in (1, -1)}
    right = [p for p, e in by_parity.items() if np.allclose(e, found, atol=1e-9)]
    assert right, (by_parity, found)
    # The parity matters: the other one is no ground state of spins.
    assert np.abs(by_parity[1] - by_parity[-1]).max() > 1e-3


@pytest.mark.parametrize("size", [(2, 2), (2, 3), (3, 2)])
def test_fluxes_are_conserved(size):
    fluxes = models.kitaev_plaquettes(*size)
    links = models.kitaev_honeycomb(*size).trainable
    assert len(links) == 3 * len(fluxes) == 3 * size[0] * size[1]
    for w in fluxes:
        assert (np.bitwise_xor(w.paulis.x, 0) | w.paulis.z).sum() == 6
        assert all(w.paulis[0].commutes(op.paulis[0]) for op in [*links, *fluxes])
    whole = reduce(SparsePauliOp.compose, fluxes).simplify()
    assert whole == SparsePauliOp("I" * 2 * len(fluxes))


def test_fluxes_are_sharp_where_the_ground_state_is_unique():
    fluxes = models.kitaev_plaquettes(*TORUS)
    model = models.kitaev_honeycomb(*TORUS)
    sharp = 0
    for theta in DRAWS:
        row = model.coefficients(theta, [])
        levels, vectors = np.linalg.eigh(reference.total(model.operators, row[0]))
        if levels[1] - levels[0] < 1e-3:
            continue
        w = reference.expectations(fluxes, vectors[:, 0], vectors[:, 0]).real
        np.testing.assert_allclose(np.abs(w), 1.0, atol=1e-8)
        phase = qep.Exact()([*model.operators, *fluxes], np.hstack([row, [[0] * 4]]))
        np.testing.assert_allclose(phase.values[0, 12:], w, atol=1e-7)
        sharp += 1
    assert sharp >= 3


# --- What all of them share ---------------------------------------------------------

FAMILIES = {
    "cluster_ising": models.cluster_ising,
    "heisenberg": models.heisenberg,
    "xxz": models.xxz,
    "xx_zz_network": models.xx_zz_network,
    "rydberg_chain": models.rydberg_chain,
    "kitaev_honeycomb": lambda _, **how: models.kitaev_honeycomb(2, 2, **how),
}


@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
def test_uniform_models_share_a_coefficient_per_kind(make):
    each, shared = make(4, **HOW), make(4, **HOW, uniform=True)
    theta, x = draw(shared)
    sizes = {
        "cluster_ising": (4, 4, 4),
        "heisenberg": (6, 4, 4),
        "xxz": (6, 6, 4, 4),
        "xx_zz_network": (6, 6, 4),
        "rydberg_chain": (4, 4),
        "kitaev_honeycomb": (4, 4, 4),
    }[next(name for name, family in FAMILIES.items() if family is make)]
    assert shared.num_trainable == len(sizes)
    full = np.repeat(theta, sizes)
    assert each.hamiltonian(full, x).sort() == shared.hamiltonian(theta, x).sort()
    starts = [m.initial(np.random.default_rng(1)) for m in (each, shared)]
    means = [part.mean() for part in np.split(starts[0], np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(starts[1], means, atol=5 * 0.03 * np.sqrt(1.25))


@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
def test_gradients_are_those_of_the_loss(make):
    rng = np.random.default_rng(2)
    model = make(4, inputs=[0, 2], readout=[2])
    theta = rng.standard_normal(model.num_trainable)
    x, y = np.array([[0.9, 0.7]]), np.array([[-0.5]])
    exact, by_x = reference.slopes(model, theta, x, y)
    measured = qep.gradient(model, theta, x, y, nudge=qep.Nudge.infinitesimal())
    assert np.abs(exact).max() > 0.02
    np.testing.assert_allclose(measured.values, exact, atol=1e-7)
    np.testing.assert_allclose(measured.inputs, by_x, atol=1e-7)


@pytest.mark.parametrize("make", [models.xx_zz_network, models.cluster_ising])
def test_networks_without_longitudinal_fields_are_odd(make):
    model = make(5, inputs=[0, 1], readout=[4])
    theta, x = draw(model)
    p, mirrored = (qep.predict(model, theta, sign * x) for sign in (1, -1))
    assert np.abs(p).min() > 0.01
    np.testing.assert_allclose(mirrored, -p, atol=1e-8)


def lattices():
    """Return one square as a lattice of qiskit-nature, a graph, a device, pairs."""
    from qiskit_nature.second_q.hamiltonians.lattices import SquareLattice

    graph = rx.PyGraph()
    graph.add_nodes_from(range(4))
    graph.add_edges_from_no_data([(0, 1), (0, 2), (1, 3), (2, 3)])
    pairs = [(0, 1), (0, 2), (1, 3), (2, 3)]
    return [SquareLattice(2, 2), graph, CouplingMap([list(p) for p in pairs]), pairs]


@pytest.mark.parametrize(
    "make",
    [
        models.heisenberg,
        models.xxz,
        models.xx_zz_network,
        models.classical_ising,
        models.transverse_field_ising,
    ],
)
def test_lattices_and_graphs_in_every_form(make):
    made = [make(4, edges=edges) for edges in lattices()]
    assert len({model.fingerprint for model in made}) == 1
    assert made[0].fingerprint != make(4).fingerprint


def test_a_hexagonal_lattice_of_qiskit_nature():
    from qiskit_nature.second_q.hamiltonians.lattices import HexagonalLattice

    lattice = HexagonalLattice(1, 1)
    model = models.heisenberg(lattice.num_nodes, edges=lattice, fields="", uniform=True)
    ring = models.heisenberg(6, edges="ring", fields="", uniform=True)
    np.testing.assert_allclose(energy(model, [1.0]), energy(ring, [1.0]), atol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.classical_ising(0), r"num_spins .*at least 1, got 0"),
        (lambda: models.classical_ising(2, inputs=[2]), r"inputs .*0 to 1, got 2"),
        (lambda: models.cluster_ising(2), r"num_spins .*at least 3, got 2"),
        (lambda: models.cluster_ising(4, edges=None), r"'chain' or 'ring', got None"),
        (lambda: models.cluster_ising(4, readout=[-1]), r"readout .*0 to 3, got -1"),
        (lambda: models.cluster_sensor(2), r"num_spins .*at least 3, got 2"),
        (lambda: models.heisenberg(3, fields="XW"), r"letters XYZ, got 'XW'"),
        (lambda: models.xxz(3, fields="ZZ"), r"letters XYZ, got 'ZZ'"),
        (lambda: models.xx_zz_network(2, edges=[(0, 2)]), r"0 to 1, got \(0, 2\)"),
        (lambda: models.kitaev_honeycomb(1, 3), r"at least 2, got 1 and 3"),
        (lambda: models.kitaev_honeycomb(2, 2, inputs=[8]), r"0 to 7, got 8"),
        (lambda: models.kitaev_plaquettes(3, 1), r"at least 2, got 3 and 1"),
        (lambda: models.kitaev_sensor(1, 2), r"at least 2, got 1 and 2"),
        (lambda: models.rydberg_chain(2, readout=[2]), r"readout .*0 to 1, got 2"),
    ],
)
def test_models_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
