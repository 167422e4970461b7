"""Stencils differentiate polynomials exactly up to the degree they promise."""

import numpy as np
import pytest

import qiskit_qep as qep
from qiskit_qep import Nudge

B = 0.3


def moments(nudge, degree):
    """Return sum_n w_n beta_n^m in units of the reach, for m = 0 ... degree."""
    nodes, weights = np.array(nudge.nodes), np.array(nudge.weights)
    powers = (nodes / nudge.reach) ** np.arange(degree + 1)[:, None]
    return (powers @ weights * nudge.reach).real  # the real part pairs conjugates


# Stencil, highest degree that is exact, and what the next moment is (never 0).
STENCILS = {
    "centred": (Nudge.centered(B), 2, 1.0),
    "one-sided": (Nudge.one_sided(B), 1, 1.0),
    "one-sided, negative": (Nudge.one_sided(-B), 1, -1.0),
    "chebyshev 2": (Nudge.chebyshev(B, 2), 2, 1.0),
    "chebyshev 3": (Nudge.chebyshev(B, 3), 2, 1.0),
    "chebyshev 4": (Nudge.chebyshev(B, 4), 4, None),
    "chebyshev 7": (Nudge.chebyshev(B, 7), 6, None),
    "chebyshev 16": (Nudge.chebyshev(B, 16), 16, None),
    "holomorphic 2": (Nudge.holomorphic(B, 2), 2, 1.0),
    "holomorphic 3": (Nudge.holomorphic(B, 3), 3, 1.0),
    "holomorphic 4": (Nudge.holomorphic(B, 4), 4, 1.0),
    "holomorphic 7": (Nudge.holomorphic(B, 7), 7, 1.0),
    "holomorphic 16": (Nudge.holomorphic(B, 16), 16, 1.0),
}


@pytest.mark.parametrize(("nudge", "degree", "beyond"), STENCILS.values(), ids=STENCILS)
def test_polynomials_are_differentiated_exactly(nudge, degree, beyond):
    *promised, next_one = moments(nudge, degree + 1)
    expected = np.arange(degree + 1) == 1
    np.testing.assert_allclose(promised, expected, atol=1e-10)
    assert abs(next_one) > 1e-6  # and not further
    if beyond is not None:
        assert next_one == pytest.approx(beyond)


@pytest.mark.parametrize(("nudge", "degree", "_"), STENCILS.values(), ids=STENCILS)
def test_the_weights_are_applied_to_measured_values(nudge, degree, _):
    """The same through ``gradient``, with values that are a polynomial in beta."""
    rng = np.random.default_rng(degree)
    series = rng.normal(size=degree + 1)

    def polynomial(operators, coefficients, *, start=None, rng=None):
        beta = coefficients[:, -1]
        return qep.Phase(np.polyval(series[::-1], beta)[:, None] * np.ones(2))

    model = qep.Model(["X"], readout=["Z"])
    found = qep.gradient(
        model, [0.0], [], [1.0], loss=qep.expectation, nudge=nudge, seed=1,
        equilibrium=polynomial,
    )  # fmt: skip
    assert abs(series[1]) > 0.1
    assert found.values[0] == pytest.approx(series[1], abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8])
def test_half_the_circle_is_prepared(n):
    nudge = Nudge.holomorphic(B, n)
    nodes, weights = np.array(nudge.nodes), np.array(nudge.weights)
    assert len(nodes) == n // 2 + 1
    np.testing.assert_allclose(np.abs(nodes), B)
    assert np.all(nodes.imag >= 0)
    # With the mirror images of those off the axis it is Cauchy's sum over n points.
    pair = np.where(nodes.imag > 0, 2, 1)
    assert pair.sum() == n
    np.testing.assert_allclose(weights, pair / (n * nodes))
    assert nudge.is_complex
    assert all(isinstance(node, complex) for node in nudge.nodes)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 16])
def test_chebyshev_nodes(n):
    nudge = Nudge.chebyshev(B, n)
    nodes = np.array(nudge.nodes)
    assert len(set(nudge.nodes)) == n
    assert nudge.reach < B
    at_nodes = np.cos(n * np.arccos(nodes / B))
    np.testing.assert_allclose(at_nodes, 0, atol=1e-12)
    np.testing.assert_allclose(nodes, -nodes[::-1])
    assert not nudge.is_complex
    assert (0.0 in nudge.nodes) == (n % 2 == 1)  # the free phase, not prepared again


def test_the_noise_of_chebyshev_nodes_grows_slowly():
    gains = [np.linalg.norm(Nudge.chebyshev(B, n).weights) * B for n in (2, 4, 6, 8)]
    np.testing.assert_allclose(gains, [1.0, 2.2, 3.4, 4.6], atol=0.1)


@pytest.mark.parametrize(
    ("nudge", "prepared"),
    [
        (Nudge.centered(B), 2),
        (Nudge.one_sided(B), 1),
        (Nudge.chebyshev(B, 4), 4),
        (Nudge.chebyshev(B, 5), 4),
        (Nudge.holomorphic(B, 5), 3),
        (Nudge.infinitesimal(), 0),
    ],
    ids=str,
)
def test_the_free_phase_is_prepared_once(nudge, prepared):
    calls = []

    class Counting:
        follow = True

        def __call__(self, operators, coefficients, *, start=None, rng=None):
            calls.append(coefficients)
            return qep.Phase(np.zeros(coefficients.shape))

        def response(self, phase, operators, coefficients, direction):
            return np.zeros(coefficients.shape)

    model = qep.Model(["X"], inputs=["Y"], readout=["Z"])
    qep.gradient(
        model, [1.0], np.ones((3, 1)), np.ones((3, 1)), equilibrium=Counting(),
        nudge=nudge, loss=qep.expectation, seed=1,
    )  # fmt: skip
    free, *nudged = calls
    assert np.all(free[:, -1] == 0)
    assert sum(len(rows) for rows in nudged) == 3 * prepared
    assert all(np.all(rows[:, -1] != 0) for rows in nudged)


@pytest.mark.parametrize(
    "text",
    [
        "Nudge.centered(0.1)",
        "Nudge.one_sided(-0.1)",
        "Nudge.chebyshev(0.1, 4)",
        "Nudge.holomorphic(0.1, 5)",
        "Nudge.random_sign(0.1)",
        "Nudge.infinitesimal()",
    ],
)
def test_a_nudge_is_a_value_that_says_how_it_was_made(text):
    name, arguments = text.removesuffix(")").removeprefix("Nudge.").split("(")
    numbers = [float(a) if "." in a else int(a) for a in arguments.split(",") if a]
    make = getattr(Nudge, name)
    assert repr(make(*numbers)) == text
    assert make(*numbers) == make(*numbers)
    assert len({make(*numbers), make(*numbers)}) == 1
    assert make(*numbers).signed == (name == "random_sign")
    with pytest.raises(AttributeError, match="cannot assign"):
        make(*numbers).nodes = (1.0,)


def test_reach_is_the_largest_node():
    assert Nudge.centered(B).reach == B
    assert Nudge.one_sided(-B).reach == B
    assert Nudge.holomorphic(B, 5).reach == pytest.approx(B)
    assert Nudge.infinitesimal().reach == 0.0


@pytest.mark.parametrize("bad", [0, -0.1, np.nan, np.inf])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Nudge.centered, "beta"),
        (Nudge.random_sign, "beta"),
        (lambda b: Nudge.chebyshev(b, 4), "beta"),
        (lambda b: Nudge.holomorphic(b, 4), "radius"),
    ],
    ids=["centred", "random sign", "chebyshev", "holomorphic"],
)
def test_bad_strengths_are_refused(make, name, bad):
    with pytest.raises(ValueError, match=f"{name} should be a positive .* got {bad}"):
        make(bad)


@pytest.mark.parametrize("bad", [0, np.nan, np.inf])
def test_bad_one_sided_strengths_are_refused(bad):
    with pytest.raises(ValueError, match=rf"\|beta\| should be a positive .* {bad}"):
        Nudge.one_sided(bad)


@pytest.mark.parametrize("n", [1, 0, -2])
@pytest.mark.parametrize("make", [Nudge.chebyshev, Nudge.holomorphic])
def test_too_few_nodes_are_refused(make, n):
    with pytest.raises(ValueError, match=f"needs at least 2 nodes, got {n}"):
        make(B, n)
