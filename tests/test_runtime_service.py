"""What the runtime's own service, backend, sampler and job make of our requests."""

import numpy as np
import pytest
from qiskit.primitives import BackendSamplerV2
from qiskit_ibm_runtime.executor_sampler import SamplerV2

import qiskit_qep as qep
from qiskit_qep.testing.offline import NAME, OfflineClient, offline_service

MODEL = qep.models.transverse_field_ising(3, inputs=[0], readout=[2], edges="chain")
ROWS = MODEL.coefficients([0.9, -0.4, 0.3, 0.8, 0.5, -0.7, 0.2, 0.6], [[1.0], [-0.5]])
RAMP = qep.Ramp(time=3, steps=4)


@pytest.fixture
def service():
    client = OfflineClient()
    return offline_service(client), client


@pytest.fixture
def journalled(service, tmp_path):
    def wrapped(device):
        return qep.Resumable(
            device, journal=tmp_path / "jobs.jsonl", service=service[0], max_jobs=1
        )

    return wrapped


@pytest.mark.parametrize("fractional", [False, True], ids=["cz", "rzz"])
@pytest.mark.parametrize("mitigation", ["none", "full"])
def test_a_request_travels_and_its_answer_is_right(
    service, journalled, fractional, mitigation
):
    runtime, client = service
    backend = runtime.backend(NAME, use_fractional_gates=fractional)
    assert backend.target.gate_has_angle_bounds("rzz") is fractional
    qubits = qep.best_qubits(backend, 3, shape="chain")
    device = qep.Transpiled(SamplerV2(mode=backend), backend, seed=1, qubits=qubits)
    sampler = journalled(device)
    shots = qep.Prepared(RAMP, sampler, shots=4000, mitigation=mitigation)
    phase = shots(MODEL.operators, ROWS)
    (job,) = client.jobs
    assert phase.jobs == (job,)
    assert client.jobs[job]["backend_name"] == NAME
    exact = qep.Prepared(RAMP)(MODEL.operators, ROWS).values
    assert np.ptp(exact) > 0.8
    assert np.all(np.abs(phase.values - exact) < 5 * phase.stds)
    isa = device.template(shots.circuit(MODEL.operators)).circuit
    assert isa.num_qubits == 156
    assert ("rzz" in isa.count_ops()) is fractional


def test_an_answer_can_be_fetched_by_the_name_of_its_job(service):
    runtime, _ = service
    backend = runtime.backend(NAME)
    device = qep.Transpiled(SamplerV2(mode=backend), backend, seed=1)
    shots = qep.Prepared(RAMP, device, shots=4000)
    request = qep.build_pub(
        shots.circuit(MODEL.operators),
        MODEL.operators,
        RAMP.angles(MODEL.operators, ROWS),
    )
    name = device.run([request], shots=4000).job_id()
    bits = runtime.job(name).result()[0].data.meas  # as after a crash
    phase = qep.read_counts(MODEL.operators, bits)
    exact = qep.Prepared(RAMP)(MODEL.operators, ROWS).values
    assert np.all(np.abs(phase.values - exact) < 5 * phase.stds)


def test_a_real_backend_can_be_rehearsed_on_a_few_qubits(service):
    runtime, client = service
    backend = runtime.backend(NAME, use_fractional_gates=True)
    cut = qep.cut_backend(backend, qep.best_qubits(backend, 3, shape="chain"))
    device = qep.Transpiled(BackendSamplerV2(backend=cut), cut, seed=1)
    shots = qep.Prepared(RAMP, device, shots=4000, mitigation="readout")
    phase = shots(MODEL.operators, ROWS)
    exact = qep.Prepared(RAMP)(MODEL.operators, ROWS).values
    assert np.abs(phase.values - exact).max() < 0.15  # noise of gates is left
    assert "rzz" in device.template(shots.circuit(MODEL.operators)).circuit.count_ops()
    assert client.jobs == {}


def test_nothing_is_submitted_that_cannot_run(service):
    runtime, client = service
    backend = runtime.backend(NAME, use_fractional_gates=True)
    device = qep.Transpiled(SamplerV2(mode=backend), backend)
    circuit = qep.Prepared(RAMP, device).circuit(MODEL.operators)
    with pytest.raises(ValueError, match="should be finite, got inf"):
        device.run([(circuit, np.full(circuit.num_parameters, np.inf))], shots=10)
    assert client.jobs == {}
