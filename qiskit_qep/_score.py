"""How well a model classifies, and what it has to be better than."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from ._equilibrium import Phase
from ._estimate import covariance_of
from ._nudge import Nudge
from ._streams import streams
from ._train import steps as iterate
from .equilibria.uncoupled import Uncoupled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._config import Config

LOOK = 0x7E57  # the phase of shots that evaluate; no stencil has so many nodes


@dataclass(frozen=True, eq=False)
class Score:
    """How a model does on a set of samples.

    Attributes:
        accuracy: Share that is classified correctly.
        loss: Mean.
        loss_std: Its standard error (shots).
        predicted: Class of every sample.
    """

    accuracy: float
    loss: float
    loss_std: float
    predicted: NDArray[np.int64]

    @property
    def accuracy_std(self) -> float:
        """Standard error of the accuracy, a share of this many samples."""
        return accuracy_std(self.accuracy, len(self.predicted))


class Baseline(NamedTuple):
    """What something simpler makes of the same data; test is None without test data."""

    key: str
    train: float
    test: float | None
    seconds: float


def accuracy_std(accuracy: float, num_samples: int) -> float:
    """Return the standard error of a share of so many samples."""
    return float(np.sqrt(accuracy * (1 - accuracy) / num_samples))


def classes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return class numbers: of one readout its sign, of several the largest one.

    Class numbers, shape (batch,), stay as they are.
    """
    if values.ndim == 1:
        return values.astype(np.int64)
    if values.shape[1] == 1:
        return (values[:, 0] > 0).astype(np.int64)
    return np.asarray(np.argmax(values, axis=1), dtype=np.int64)


def confusion(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[Any]:
    """Count samples by true class (rows) and predicted class (columns)."""
    size = 1 + int(max(true.max(), predicted.max(), 1))
    return np.bincount(true * size + predicted, minlength=size**2).reshape(size, size)


def score(
    config: Config, theta: NDArray[Any], x: NDArray[Any], y: NDArray[Any], step: int
) -> Score:
    """Settle samples without a nudge and read them out."""
    model, columns = config.model, config.model.readout_columns
    rng = streams(config.seed, step, LOOK, len(x))
    coefficients = model.coefficients(theta, x)
    phase = config.equilibrium(model.operators, coefficients, rng=rng)
    read = Phase(
        phase.values[:, columns],
        stds=None if phase.stds is None else phase.stds[:, columns],
        covariance=None
        if phase.covariance is None
        else phase.covariance[:, columns, columns],
    )
    targets = config.loss.targets(model, y, len(x))
    slope = config.loss.slope(read.values, targets)
    variance = np.einsum("bi,bij,bj->", slope, covariance_of(read), slope)
    predicted = classes(read.values)
    return Score(
        accuracy=float(np.mean(predicted == classes(y))),
        loss=float(config.loss.value(read.values, targets).mean()),
        loss_std=float(np.sqrt(variance)) / len(x),
        predicted=predicted,
    )


def uncoupled(config: Config) -> Baseline | None:
    """Train the same network with all couplings 0; None where it has no couplings.

    Start, batches, loss, optimizer and number of steps are those of the run; what is
    left of the Hamiltonian is settled and differentiated in closed form.
    """
    operators = config.model.operators
    if not all(isinstance(op, SparsePauliOp) for op in operators):
        return None
    support = [(op.paulis.x | op.paulis.z).sum(axis=1).max() for op in operators]
    if max(support) < 2:
        return None
    begun = time.perf_counter()
    free = replace(config, equilibrium=Uncoupled(), nudge=Nudge.infinitesimal())
    x, y = config.x_train, config.y_train
    states = iterate(config.model, x, y, seed=config.seed, **free.how)
    theta = next(islice(states, config.steps, None)).theta
    train = score(free, theta, x, y, config.steps).accuracy
    x, y = config.x_test, config.y_test
    test = score(free, theta, x, y, config.steps).accuracy if len(x) else None
    seconds = round(time.perf_counter() - begun, 3)
    return Baseline("uncoupled", train, test, seconds)


def logistic_regression(config: Config) -> Baseline | None:
    """Fit scikit-learn's on the same split; None where it is not installed."""
    try:
        linear = import_module("sklearn.linear_model")
    except ImportError:
        return None
    begun = time.perf_counter()
    model = linear.LogisticRegression(max_iter=10_000)
    model.fit(config.x_train, classes(config.y_train))
    train = float(model.score(config.x_train, classes(config.y_train)))
    x, y = config.x_test, classes(config.y_test)
    test = float(model.score(x, y)) if len(x) else None
    seconds = round(time.perf_counter() - begun, 3)
    return Baseline("logistic_regression", train, test, seconds)
