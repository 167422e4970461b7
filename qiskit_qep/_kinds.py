"""What a config may ask for: kinds of tables, and keys that no function takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from . import datasets, jumps, models
from ._keys import ConfigError
from ._loss import cost_observable, cross_entropy, squared_error
from ._model import Model
from ._nudge import Nudge
from ._optimizers import adam, momentum, sgd
from .equilibria.annealed import Annealed
from .equilibria.enumerated import Enumerated
from .equilibria.exact import Exact
from .equilibria.gaussian import Gaussian
from .equilibria.lindblad import Lindblad
from .equilibria.prepared import Prepared
from .equilibria.relaxed import Relaxed
from .equilibria.sampled import Sampled
from .equilibria.tensor_network import TensorNetwork
from .equilibria.thermal import Thermal
from .equilibria.variational_monte_carlo import VariationalMonteCarlo
from .preparations.ramp import Ramp
from .preparations.variational import Variational

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .equilibria.prepared import Preparation

    Table = dict[str, Any]


def _pauli(
    trainable: Sequence[str],
    inputs: Sequence[str] = (),
    readout: Sequence[str] = (),
    fixed: str | None = None,
) -> Model:
    return Model(tuple(trainable), tuple(inputs), tuple(readout), fixed)


def _prepared(
    preparation: Preparation,
    shots: int = 4000,
    mitigation: Literal["none", "readout", "full"] = "none",
    max_circuits: int | None = None,
    max_executions: int = 10_000_000,
    max_payload: int | None = None,
) -> Prepared:
    """Return circuits that are not connected to a backend yet."""
    sampler = None if mitigation == "none" else nowhere
    return Prepared(
        preparation,
        sampler,
        shots,
        mitigation,
        max_circuits=max_circuits,
        max_executions=max_executions,
        max_payload=max_payload,
    )


def nowhere(seed: int) -> Any:
    raise ConfigError(
        '[equilibrium] mitigation other than "none" needs a backend to be measured '
        'on; add backend = "aer", or another, above all tables'
    )


def _named(owner: Any, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(owner, name) for name in names.split()}


KINDS: dict[str, dict[str, Callable[..., Any]]] = {
    "data": _named(
        datasets,
        "xor parity moons spirals cluster_ising kitaev_honeycomb iris wine "
        "breast_cancer digits",
    ),
    "model": {
        **_named(
            models,
            "transverse_field_ising classical_ising cluster_ising heisenberg xxz "
            "xx_zz_network kitaev_honeycomb rydberg_chain cluster_sensor kitaev_sensor "
            "oscillator_network elastic_network",
        ),
        "pauli": _pauli,
    },
    "equilibrium": {
        "exact": Exact,
        "sampled": Sampled,
        "prepared": _prepared,
        "thermal": Thermal,
        "lindblad": Lindblad,
        "tensor_network": TensorNetwork,
        "variational_monte_carlo": VariationalMonteCarlo,
        "annealed": Annealed,
        "enumerated": Enumerated,
        "gaussian": Gaussian,
        "relaxed": Relaxed,
    },
    "preparation": {"ramp": Ramp, "variational": Variational},
    "ansatz": {"ramp": Ramp},
    "jumps": _named(jumps, "damping dephasing depolarizing"),
    "nudge": _named(
        Nudge, "centered one_sided chebyshev holomorphic infinitesimal random_sign"
    ),
    "loss": {
        "squared_error": lambda: squared_error,
        "cross_entropy": cross_entropy,
        "cost_observable": lambda: cost_observable,
    },
    "optimizer": {"adam": adam, "momentum": momentum, "sgd": sgd},
}
LIMITS = ("max_jobs", "max_qpu_seconds", "max_wall_time")
OMITTED: dict[str, dict[str, Any] | None] = {  # what a table says that is not there
    "data": None,
    "model": None,
    "equilibrium": {"kind": "exact"},
    "nudge": {"kind": "centered", "beta": 0.1},
    "loss": {"kind": "squared_error"},
    "optimizer": {"kind": "adam"},
}


# Keys that no function of the package takes, as signatures.
def top(
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    test_every: int | None = None,
    backend: str | None = None,
    account: str | None = None,
    max_jobs: int | None = None,
    max_qpu_seconds: float | None = None,
    max_wall_time: float | None = None,
) -> None: ...
def split(test: float = 0.3, split_seed: int = 0) -> None: ...
def features(linear_inputs: Table | None = None) -> None: ...
def schedule(schedule: str = "constant", bounded: Table | None = None) -> None: ...
