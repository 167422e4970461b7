"""Train quantum systems by Quantum Equilibrium Propagation (arXiv:2406.00879)."""

from . import datasets as datasets
from . import models as models
from . import plotting as plotting
from ._contrastive import contrastive as contrastive
from ._equilibrium import Equilibrium as Equilibrium
from ._equilibrium import Phase as Phase
from ._estimate import Gradient as Gradient
from ._fidelity import Fidelity as Fidelity
from ._fidelity import fidelity_report as fidelity_report
from ._gradient import gradient as gradient
from ._gradient import predict as predict
from ._loss import Loss as Loss
from ._loss import cost_observable as cost_observable
from ._loss import cross_entropy as cross_entropy
from ._loss import expectation as expectation
from ._loss import squared_error as squared_error
from ._model import Model as Model
from ._model import linear_inputs as linear_inputs
from ._nudge import Nudge as Nudge
from ._optimizers import Optimizer as Optimizer
from ._optimizers import adam as adam
from ._optimizers import cosine as cosine
from ._optimizers import momentum as momentum
from ._optimizers import sgd as sgd
from ._parametrization import Parametrization as Parametrization
from ._parametrization import direct as direct
from ._state import State as State
from ._suggest import suggest_nudge as suggest_nudge
from ._train import steps as steps
from ._train import train as train
from .equilibria.exact import Exact as Exact
from .equilibria.parallel import Parallel as Parallel
from .equilibria.prepared import Prepared as Prepared
from .equilibria.sampled import Sampled as Sampled
from .preparations.ramp import Ramp as Ramp
from .preparations.variational import Variational as Variational
from .runtime.devices import best_qubits as best_qubits
from .runtime.devices import cut_backend as cut_backend
from .runtime.readout import Readout as Readout
from .runtime.readout import calibration_circuits as calibration_circuits
from .runtime.requests import build_pub as build_pub
from .runtime.requests import measurement_circuit as measurement_circuit
from .runtime.requests import read_counts as read_counts
from .runtime.transpiled import Transpiled as Transpiled

__version__ = "0.1.0"
