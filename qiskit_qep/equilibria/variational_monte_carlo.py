"""VariationalMonteCarlo: positive ground states as neural states, by samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._equilibrium import Phase, refuse_complex
from .._model import pauli_terms
from ._stoquastic import gauge
from ._tangents import CHAINS, measured, respond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._pauli import PauliTerms

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
    ``Phase.covariance`` is from how chains differ, so that autocorrelation is in it.
    With ``Nudge.infinitesimal()`` free and nudged phases share their samples: the
    response is what the difference of their reweighted averages over beta tends to, and
    its error does not grow as beta falls. Of ``Nudge.centered(beta)`` every phase draws
    samples of its own, and errors grow as 1 / beta.

    Valid where the machine reaches the ground state: ``Phase.residual`` is the norm of
    H psi - E psi, the square root of the variance of the energy. Standard errors are
    those of the samples; what the machine cannot express is not in them. Where a vector
    of 2^N fits into memory ``Exact()`` is quicker and has no noise. Loading NetKet
    switches JAX to 64 bits in the whole process.

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
        for name, least in (("samples", 2 * CHAINS), ("alpha", 1), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} should be at least {least}, got {getattr(self, name)}"
                )

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
        hs = coefficients @ _varied(terms)
        signs = [gauge(terms, h, b) for b, h in enumerate(hs)]
        if rng is None:
            rng = [np.random.default_rng() for _ in coefficients]
        neural, length = _load(), -(-self.samples // CHAINS)
        net, table = neural.network(terms.num_qubits, self.alpha), neural.tables(terms)
        begins = _parameters(start, len(coefficients), net.size)
        rows = []
        for b, generator in enumerate(rng):
            seeds = generator.integers(1 << 53, size=4)  # of which floats lose nothing
            theta = begins[b] if begins is not None else np.array([np.nan])
            if np.isnan(theta).any():  # it never settled yet
                theta = neural.first(net, seeds[0])
            h = neural.padded(signs[b] * hs[b])
            theta = neural.settle(net, theta, seeds[1], table, h, self.steps, length)
            spins = neural.draw(net, theta, seeds[2], length)
            ends = np.array(neural.ends(net, theta, spins, table))[:, : len(signs[b])]
            each = ends @ (terms.weights.multiply(signs[b])).T
            w = np.array(neural.weigh(net, theta, spins))
            values, covariance, rhat = measured(each, w)
            e = np.array(neural.local(net, theta, spins, table, h))
            residual = np.sqrt(w @ (e - w @ e) ** 2)
            self._judge(b, residual, np.abs(hs[b]).sum(), rhat)
            state = seeds[3:].astype(float), np.array(theta)
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
        terms, neural, length = pauli_terms(operators), _load(), -(-self.samples // CHAINS)
        net, table = neural.network(terms.num_qubits, self.alpha), neural.tables(terms)
        if self.samples < net.size:
            raise ValueError(
                f"a response needs more samples than the {net.size} parameters of "
                f"alpha = {self.alpha}, got {self.samples}; raise samples"
            )
        thetas = _parameters(phase, len(coefficients), net.size)
        hs, forces = (v @ _varied(terms) for v in (coefficients, direction))
        found = []
        for b, theta in enumerate(thetas):
            signs = gauge(terms, hs[b], b)
            h, force = (neural.padded(signs * v[b]) for v in (hs, forces))
            spins = neural.draw(net, theta, int(phase.state[0][b, 0]), length)
            how = net, theta, spins, table
            o, slope, forced = map(
                np.array,
                (
                    neural.slopes(net, theta, spins),
                    neural.energies(*how, h)[1],
                    neural.local(*how, force),
                ),
            )
            w = np.array(neural.weigh(net, theta, spins))
            ends = np.array(neural.ends(*how))[:, : len(signs)]
            each = respond(ends, o, slope, forced, neural.flipped(*how, len(signs)), w)
            found.append(measured(each @ terms.weights.multiply(signs).T, w)[:2])
        values, covariance = map(np.array, zip(*found, strict=True))
        return Phase(values, covariance=covariance)

    def _judge(self, sample: int, residual: float, scale: float, rhat: float) -> None:
        """Warn where a state is none, or chains do not sample it."""
        if not residual <= ROUGH * scale:  # NaN as well
            warnings.warn(
                f"sample {sample} did not settle: the energy scatters by "
                f"{residual:.2g}, and all coefficients sum to {scale:.2g}; raise steps "
                "or samples",
                stacklevel=3,
            )
        if not rhat < APART:
            warnings.warn(
                f"chains of sample {sample} disagree, R-hat {rhat:.3g}: they may not "
                "have seen every well of the energy; raise samples, or add fields that "
                "choose a well",
                stacklevel=3,
            )


def _varied(terms: PauliTerms) -> Any:
    """Return what turns coefficients of operators into those of strings.

    Without the identity, which is no energy scale.
    """
    return terms.weights.multiply((terms.flips | terms.signs) != 0).tocsr()


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
