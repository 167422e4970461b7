"""VariationalMonteCarlo: positive ground states as neural states, by samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, generators, refuse_complex
from .._model import pauli_terms
from .._whole import refuse_fractions
from ._stoquastic import gauge
from ._tangents import CHAINS, measured, respond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

SPREAD = 0.1  # of the parameters that a machine begins with, near the uniform state
ROUGH = 0.05  # residual over sum |lambda|, from which a state is no ground state
APART = 1.1  # R-hat, from which chains do not sample one distribution


@dataclass(frozen=True)
class VariationalMonteCarlo:
    r"""The ground state as a positive neural state of many spins, through NetKet.

    .. math::
        \psi(s) = \pm e^{a\cdot s} \prod_h \cosh\Big(b_h + \sum_q W_{hq} s_q\Big),
        \qquad \langle A\rangle = \sum_{s,s'} \psi(s) \langle s|A|s'\rangle \psi(s')

    with real a, b, W, for Hamiltonians without a sign problem, on any graph: where, up
    to a sign of every qubit's X and Y, no element off the diagonal is positive, and the
    ground state therefore is. Such are all transverse-field Ising models, frustrated or
    not, and antiferromagnets on bipartite graphs. The signs are found for every row;
    what has none is refused.

    Samples are independent up to 12 qubits, beyond that those of 64 Metropolis chains.
    ``Phase.covariance`` is from how chains differ, so that autocorrelation is in it,
    and one sample's share for what no sample showed. With ``Nudge.infinitesimal()``
    free and nudged phases share their samples: the response is what the difference of
    their reweighted averages over beta tends to, and its error does not grow as beta
    falls. Of ``Nudge.centered(beta)`` every phase draws samples of its own, and errors
    grow as 1 / beta.

    Valid where the machine reaches the ground state: ``Phase.residual`` is the norm of
    H psi - E psi, the square root of the variance of the energy. Standard errors are
    those of the samples; what the machine cannot express is not in them, and a response
    of less than 1 / samples may be no more than its noise. Where a vector of 2^N fits
    into memory ``Exact()`` is quicker and has no noise. Loading NetKet switches JAX to
    64 bits in the whole process.

    Attributes:
        samples: Samples of every step, of the values, and of the response.
        alpha: Hidden spins for every spin.
        steps: Steps of implicit stochastic reconfiguration for every row.
        warm: Whether a training step starts from what the last one settled to.

    Raises:
        ValueError: If an argument is out of range, a row has a sign problem, the start
            is of another kind, or there are fewer samples than a response needs.
        TypeError: If an operator is no ``SparsePauliOp``, or coefficients are complex.
        ImportError: If NetKet, the extra ``[vmc]``, is not installed.

    Example:
        >>> import numpy as np, qiskit_qep as qep
        >>> model = qep.models.transverse_field_ising(4, inputs=[0], readout=[3])
        >>> how = {"equilibrium": qep.VariationalMonteCarlo(2048), "seed": 1}
        >>> p, std = qep.predict(  # doctest: +SKIP
        ...     model, np.ones(14), [[1.0]], return_std=True, **how)
        >>> bool(abs(p - qep.predict(model, np.ones(14), [[1.0]]))
        ...      < 5 * std)  # doctest: +SKIP
        True

    Reference:
        G. Carleo and M. Troyer, arXiv:1606.02318; S. Sorella, arXiv:cond-mat/9803107,
        for stochastic reconfiguration; S. Bravyi et al., arXiv:quant-ph/0606140, for
        stoquastic Hamiltonians; F. Vicentini et al., arXiv:2112.10526, for NetKet.
    """

    samples: int = 4096
    alpha: int = 1
    steps: int = 50
    warm: bool = False

    follow = True  # a nudged phase starts from the parameters of its free one

    def __post_init__(self) -> None:
        """Check the arguments."""
        refuse_fractions(8 * CHAINS, samples=self.samples)
        refuse_fractions(alpha=self.alpha, steps=self.steps)

    def __call__(
        self,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        *,
        start: Phase | None = None,
        rng: Sequence[np.random.Generator] | None = None,
    ) -> Phase:
        """Settle every row and measure it on samples; see ``Equilibrium``."""
        terms = pauli_terms(operators)
        refuse_complex(
            coefficients,
            "whose H has no lowest energy; use Nudge.infinitesimal with "
            "VariationalMonteCarlo",
        )
        hs, sizes = coefficients @ _varied(terms), _sizes(terms)
        signs = [gauge(terms, h, b) for b, h in enumerate(hs)]
        rng = generators(rng, len(coefficients))
        neural, length = _load(), self._length
        net, table = neural.network(terms.num_qubits, self.alpha), neural.tables(terms)
        begins = _parameters(start, len(coefficients), net.size)
        rows = []
        for b, generator in enumerate(rng):
            seeds = generator.integers(1 << 53, size=3)  # floats hold them exactly
            theta = None if begins is None else begins[b]
            if theta is None or np.isnan(theta).any():  # it never settled yet
                theta = SPREAD * generator.standard_normal(net.size)
            h = neural.padded(signs[b] * hs[b])
            theta = neural.settle(net, theta, seeds[0], table, h, self.steps, length)
            seen = neural.look(net, theta, seeds[1], table, h, length)
            _, weights, ends, energy = map(np.array, seen)
            each = ends[:, : len(hs[b])] @ terms.weights.multiply(signs[b]).T
            values, covariance, rhat = measured(each, weights)
            unseen = sizes * (weights @ weights)  # one sample's share
            covariance += np.diag(unseen**2)
            residual = np.sqrt(weights @ (energy - weights @ energy) ** 2)
            _judge(b, residual, np.abs(hs[b]).sum(), rhat)
            state = seeds[2:].astype(float), np.array(theta)
            rows.append((values, covariance, residual, *state))
        values, covariance, residual, *states = map(np.array, zip(*rows, strict=True))
        return Phase(
            values, covariance=covariance, residual=residual, state=tuple(states)
        )

    def response(
        self,
        phase: Phase,
        operators: Sequence[Any],
        coefficients: NDArray[Any],
        direction: NDArray[Any],
    ) -> Phase:
        r"""Return d<A_k> along a direction of coefficient space, with its covariance.

        .. math::
            d\langle A\rangle = 2\, a \cdot c, \qquad D c = -b, \qquad
            a = \langle A \bar O \rangle, \quad
            b = \langle \bar O\, dH \rangle, \quad
            D = \langle \bar O\, \nabla E \rangle

        with O the derivatives of ln psi, E(s) the local energy and bars for what is
        less its mean: the linear response of a positive eigenstate among the tangents
        of psi. All is averaged over the same samples, others than those of the values,
        so that its errors are independent of theirs.

        Args:
            phase: What ``self`` returned for these coefficients.
            operators: As in the call.
            coefficients: Shape (batch, num_operators).
            direction: d lambda, same shape.

        Raises:
            ValueError: If there are fewer samples than parameters.
        """
        terms, neural = pauli_terms(operators), _load()
        net, table = neural.network(terms.num_qubits, self.alpha), neural.tables(terms)
        if self.samples < net.size:
            raise ValueError(
                f"a response needs more samples than the {net.size} parameters of "
                f"alpha = {self.alpha}, got {self.samples}; raise samples"
            )
        thetas, length = _parameters(phase, len(coefficients), net.size), self._length
        hs, forces = (v @ _varied(terms) for v in (coefficients, direction))
        sizes = _sizes(terms)
        found = []
        for b, theta in enumerate(thetas):
            signs, size = gauge(terms, hs[b], b), len(hs[b])
            h, force = (neural.padded(signs * v[b]) for v in (hs, forces))
            seed = int(phase.state[0][b, 0])
            spins, *seen = neural.look(net, theta, seed, table, force, length)
            weights, ends, forced = map(np.array, seen)
            ends = ends[:, :size]
            o = np.array(neural.slopes(net, theta, spins))
            slope = np.array(neural.energies(net, theta, spins, table, h)[1])
            neighbours = neural.flipped(net, theta, spins, table, size)
            each, change = respond(ends, weights, o, slope, forced, neighbours)
            each = each @ terms.weights.multiply(signs).T
            values, covariance, _ = measured(each, weights)
            unseen = 2 * np.sqrt(weights @ change**2) * sizes * (weights @ weights)
            found.append((values, covariance + np.diag(unseen**2)))
        values, covariance = map(np.array, zip(*found, strict=True))
        return Phase(values, covariance=covariance)

    @property
    def _length(self) -> int:
        """Samples of every chain."""
        return -(-self.samples // CHAINS)


def _judge(sample: int, residual: float, scale: float, rhat: float) -> None:
    """Warn where a state is no ground state, or chains do not sample it."""
    if not residual <= ROUGH * scale:  # NaN as well
        warnings.warn(
            f"sample {sample} did not settle: the energy scatters by "
            f"{residual:.2g}, and all coefficients sum to {scale:.2g}; raise steps "
            "or samples",
            stacklevel=4,
        )
    if not rhat < APART:
        warnings.warn(
            f"chains of sample {sample} disagree, R-hat {rhat:.3g}: they may not "
            "have seen every well of the energy; raise samples, or add fields that "
            "choose a well",
            stacklevel=4,
        )


def _varied(terms: PauliTerms) -> Any:
    """Return what turns coefficients of operators into those of strings.

    Without the identity, which is no energy scale.
    """
    return terms.weights.multiply((terms.flips | terms.signs) != 0).tocsr()


def _sizes(terms: PauliTerms) -> NDArray[np.float64]:
    """Return how far the value of an operator can be from that of its identity."""
    return np.asarray(abs(_varied(terms)).sum(axis=1))


def _load() -> Any:
    """Return the compiled functions; NetKet takes seconds to load."""
    try:
        from . import _neural
    except ImportError as error:
        raise ImportError(
            "VariationalMonteCarlo runs on NetKet, which is not installed: "
            f"pip install 'qiskit-qep[vmc]' ({error})"
        ) from None
    return _neural


def _parameters(start: Phase | None, batch: int, size: int) -> Any:
    """Return the parameters of a phase to start from, checked."""
    if start is None:
        return None
    got = start.state[-1].shape if start.state else "none"
    if got != (batch, size):
        raise ValueError(
            f"start should be a phase of this equilibrium, with {size} parameters in "
            f"each of {batch} rows, got {got}"
        )
    return start.state[-1]
