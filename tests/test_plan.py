"""What a plan counts is what is submitted."""

from dataclasses import dataclass, field
from math import prod

import numpy as np
import pytest
from qiskit.primitives import BackendSamplerV2, BaseSamplerV2, StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2

import qiskit_qep as qep

MODEL = qep.models.transverse_field_ising(3, inputs=[0], readout=[1, 2], edges="chain")
X = np.linspace(-1, 1, 5)[:, None]


@dataclass
class Spy(BaseSamplerV2):
    """Counts what it is asked; plays a device, so that it has a price."""

    pubs: list = field(default_factory=list)
    jobs: int = 0

    def run(self, pubs, *, shots=None):
        pubs = list(pubs)
        self.jobs += 1
        job = StatevectorSampler().run(pubs, shots=shots)
        self.pubs += [part.data.meas for part in job.result()]
        return job


@pytest.mark.parametrize("mitigation", ["none", "readout"])
@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize(
    ("loss", "nudge"),
    [
        (qep.squared_error, qep.Nudge.centered(0.3)),
        (qep.cost_observable, qep.Nudge.one_sided(0.3)),
        (qep.cross_entropy(), qep.Nudge.chebyshev(0.3, 4)),
    ],
    ids=["squared_error", "cost_observable", "cross_entropy"],
)
def test_counts_are_those_of_a_training(mitigation, batch_size, loss, nudge):
    spy = Spy()
    settle = qep.Prepared(qep.Ramp(1, 1), spy, shots=30, mitigation=mitigation)
    how = {"equilibrium": settle, "nudge": nudge, "loss": loss, "steps": 3}
    made = qep.plan(MODEL, X, batch_size=batch_size, **how)
    assert spy.jobs == 0
    y = np.zeros(5, int) if loss.targets.__name__[1] == "c" else np.ones((5, 2))
    qep.train(MODEL, X, y, batch_size=batch_size, seed=1, progress=False, **how)
    assert spy.jobs > 3
    assert made.jobs == spy.jobs
    assert made.pubs == len(spy.pubs)
    assert made.circuits == sum(prod(bits.shape) for bits in spy.pubs)
    assert made.shots == sum(prod(bits.shape) * bits.num_shots for bits in spy.pubs)
    assert made.settings == 2
    low, likely, high = made.seconds
    assert low < likely < high
    assert np.isclose(likely, made.jobs * 2.0 + made.shots * 250e-6)


def test_a_plan_knows_the_circuit_of_the_device(tmp_path):
    backend = GenericBackendV2(5, seed=1)
    device = qep.Transpiled(BackendSamplerV2(backend=backend), backend, seed=1)
    sampler = qep.Resumable(device, journal=tmp_path / "run.jsonl")
    settle = qep.Prepared(qep.Ramp(1, 2), sampler)
    made = qep.plan(MODEL, X, equilibrium=settle)
    isa = device.template(settle.circuit(MODEL.operators)).circuit
    assert made.depth == isa.depth() > 10
    assert made.two_qubit_gates == isa.num_nonlocal_gates() > 2
    assert made.seconds == (0.0, 0.0, 0.0)  # simulated
    assert "no QPU" in repr(made)
    assert made.payload > 8 * isa.num_parameters * 10


def test_a_duration_is_part_of_the_price():
    backend = GenericBackendV2(5, seed=1)
    device = qep.Transpiled(Spy(), backend, seed=1)
    made = qep.plan(MODEL, X, equilibrium=qep.Prepared(qep.Ramp(1, 2), device))
    seconds = made.seconds[1] - 2.0 * made.jobs - made.shots * 250e-6
    assert 1e-8 < seconds / made.shots < 1e-4
    assert "largest job" in repr(made)
    assert "overhead of a job 1 s, 2 s, 6 s" in repr(made)


@pytest.mark.parametrize(
    "equilibrium", [None, qep.Sampled(10), qep.Prepared(qep.Ramp(1, 1))]
)
def test_what_has_no_sampler_costs_nothing(equilibrium):
    made = qep.plan(MODEL, X, equilibrium=equilibrium, steps=100)
    assert (made.jobs, made.shots, made.seconds) == (0, 0, (0.0, 0.0, 0.0))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="steps should be 0 or more, got -1"):
        qep.plan(MODEL, X, steps=-1)
    with pytest.raises(ValueError, match="batch_size should be 1 to 5, got 6"):
        qep.plan(MODEL, X, batch_size=6)
    inner = qep.Prepared(qep.Ramp(1, 1), Spy())
    with pytest.raises(TypeError, match="plan the equilibrium inside it"):
        qep.plan(MODEL, X, equilibrium=qep.Parallel(inner, None))
