"""Nudge: at which strengths the readout is pushed, and how the answers are combined."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Nudge:
    r"""A finite-difference stencil in beta.

    .. math::
        \frac{d\ell}{d\theta_k} = \frac{d\langle A_k\rangle}{d\beta}\Big|_0
        \approx \sum_n w_n \langle A_k\rangle(\nu = \beta_n s), \qquad
        s = \frac{d\ell}{dp}

    A node at 0 is the free phase, which is not prepared again.

    Attributes:
        nodes: beta_n.
        weights: w_n.
        signed: Whether every sample draws a sign that multiplies beta_n and w_n.
        probe: Other weights of the same nodes, whose sum estimates the stencil's bias.
        is_normalized: Whether beta_n multiplies s / |s| instead of s.
        name: How it was made.

    Example:
        >>> import qiskit_qep as qep
        >>> qep.Nudge.centered(0.1)
        Nudge.centered(0.1)
        >>> qep.Nudge.centered(0.1).weights
        (5.0, -5.0)
    """

    nodes: tuple[complex, ...] = ()
    weights: tuple[complex, ...] = ()
    signed: bool = False
    probe: tuple[float, ...] = ()
    is_normalized: bool = False
    name: str = "Nudge()"

    @staticmethod
    def centered(beta: float, *, probe: bool = False) -> Nudge:
        r"""Use both signs: D(b) = (<A>_{+b} - <A>_{-b}) / 2b, with an error of O(b^2).

        With ``probe`` the states at +-b/2 are measured as well, and ``Gradient.bias``
        is the error 4/3 (D(b) - D(b/2)) that they tell of.
        """
        beta = _positive("beta", beta)
        w, name = 0.5 / beta, f"Nudge.centered({beta})"
        if not probe:
            return Nudge((beta, -beta), (w, -w), name=name)
        third = 4.0 * w / 3.0
        return Nudge(
            (beta, -beta, 0.5 * beta, -0.5 * beta),
            (w, -w, 0.0, 0.0),
            probe=(third, -third, -2.0 * third, 2.0 * third),
            name=f"Nudge.centered({beta}, probe=True)",
        )

    @staticmethod
    def one_sided(beta: float) -> Nudge:
        r"""Use one sign: (<A>_b - <A>_0) / b, with an error of O(b); b may be negative.

        For the cost observable this is the exact gradient of ``contrastive`` at beta.
        Reference: B. Scellier, arXiv:2406.00879, Eq. (28).
        """
        _positive("|beta|", abs(beta))
        w = 1.0 / beta
        return Nudge((float(beta), 0.0), (w, -w), name=f"Nudge.one_sided({beta})")

    @staticmethod
    def chebyshev(beta: float, n: int) -> Nudge:
        r"""Use n real Chebyshev nodes in [-b, b]; the error falls as rho^-n.

        The weights differentiate the interpolating polynomial at 0. No complex
        coefficient is needed, so it runs on hardware; the noise grows slowly with n.
        """
        beta = _positive("beta", beta)
        if n < 2:
            raise ValueError(f"chebyshev needs at least 2 nodes, got {n}")
        nodes = beta * np.cos((2 * np.arange(n) + 1) * np.pi / (2 * n))
        nodes[np.abs(nodes) < 1e-12 * beta] = 0.0  # the middle one of an odd number
        # Derivative at 0 of the Lagrange polynomials: moments 0, 1, 0, 0, ...
        powers = np.vander(nodes / beta, n, increasing=True).T
        weights = np.linalg.solve(powers, np.eye(n)[1]) / beta
        name = f"Nudge.chebyshev({beta}, {n})"
        return Nudge(tuple(nodes.tolist()), tuple(weights.tolist()), name=name)

    @staticmethod
    def holomorphic(radius: float, n: int) -> Nudge:
        r"""Use n complex nodes on a circle (Cauchy's formula); the error is (r/R)^n.

        R is the distance to the nearest exceptional point. As <A> at the conjugate beta
        is the conjugate of <A>, only the upper half of the circle is prepared. Only
        equilibria that can settle complex coefficients accept it.
        """
        radius = _positive("radius", radius)
        if n < 2:
            raise ValueError(f"holomorphic needs at least 2 nodes, got {n}")
        nodes, weights = [], []
        for j in range(n // 2 + 1):
            turn = complex(np.exp(2j * np.pi * j / n))
            if 2 * j in (0, n):
                turn, pair = complex(round(turn.real)), 1
            else:
                pair = 2  # with its mirror image
            nodes.append(radius * turn)
            weights.append(pair / (n * radius * turn))
        name = f"Nudge.holomorphic({radius}, {n})"
        return Nudge(tuple(nodes), tuple(weights), name=name)

    @staticmethod
    def infinitesimal() -> Nudge:
        r"""Use the exact derivative at beta = 0, from an equilibrium's ``response``."""
        return Nudge(name="Nudge.infinitesimal()")

    @staticmethod
    def random_sign(beta: float) -> Nudge:
        r"""Prepare one state per sample, of random sign: sigma (<A>_{sigma b} - c) / b.

        Unbiased for the centred difference whatever c is; it is the mean over the other
        samples of the batch. For losses whose slope needs no prediction, as there is no
        free phase: the loss and the prediction reported are those of the nudged states.
        """
        beta = _positive("beta", beta)
        name = f"Nudge.random_sign({beta})"
        return Nudge((beta,), (1.0 / beta,), signed=True, name=name)

    def normalized(self) -> Nudge:
        r"""Nudge by beta_n s / |s|, and multiply the result by |s|.

        The push then does not fade as the loss falls, and with it the signal in the
        shot noise. Bias and noise of a sample's gradient are both proportional to its
        slope, so that one push is best for all slopes: take it with shots.
        """
        if self.is_normalized or not self.nodes:
            raise ValueError(f"{self} has no nudge to normalize")
        return replace(self, is_normalized=True, name=f"{self.name}.normalized()")

    @property
    def reach(self) -> float:
        """The largest |beta_n|."""
        return max((abs(node) for node in self.nodes), default=0.0)

    @property
    def is_complex(self) -> bool:
        """Whether a node is a complex number."""
        return any(isinstance(node, complex) for node in self.nodes)

    def __repr__(self) -> str:
        """Show how it was made."""
        return self.name


def _positive(name: str, value: float) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} should be a positive number, got {value}")
    return float(value)
