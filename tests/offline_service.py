"""The runtime without a network: all of it is real but its HTTP client.

Service, backend, sampler, job and decoders are the runtime's own; a stand-in answers
where REST calls would leave the machine, and runs the submitted program on a simulator.
The private modules that this needs are named here and nowhere else.
"""

import json
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from itertools import count
from math import prod
from pathlib import Path
from unittest.mock import patch

import qiskit_ibm_runtime
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import models
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import (
    run_quantum_program,
)
from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import (
    passthrough_data_to_2_0,
)
from qiskit_ibm_runtime.quantum_program.params_converters import (
    QUANTUM_PROGRAM_PARAMS_CONVERTERS,
)

MACHINE = "fez"  # 156 qubits, CZ; rzz and rx are added, as the real ones have them
NAME = f"ibm_{MACHINE}"
INSTANCE = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{'0' * 32}:{'0' * 8}::"
UNITS = {"ns": 1e-9, "us": 1e-6, "s": 1.0}
FILES = Path(qiskit_ibm_runtime.__file__).parent / "fake_provider/backends" / MACHINE


@cache
def gate_lengths():
    """Return the seconds of every gate on every qubit or pair."""
    known = json.loads((FILES / f"props_{MACHINE}.json").read_text())
    return {
        (gate["gate"], tuple(gate["qubits"])): found["value"] * UNITS[found["unit"]]
        for gate in known["gates"]
        for found in gate["parameters"]
        if found["name"] == "gate_length"
    }


class OfflineClient:
    """Answers what the service asks, and keeps the jobs.

    Attributes:
        charges: Whether it says what jobs cost; the real one says 0 until it knows.
    """

    charges = False

    def __init__(self):
        self.jobs, self.sessions = {}, {}
        self._instance = INSTANCE  # the service compares it
        self._numbers = count()

    def list_backends(self, *_, **__):
        status = {"name": "online", "reason": "available"}
        kind = {"class": "real", "queue_length": 0}
        return [{"name": NAME, "status": status, **kind}]

    def backend_configuration(self, *_, **__):
        found = json.loads((FILES / f"conf_{MACHINE}.json").read_text())
        found["backend_name"] = NAME
        gates = {gate["name"]: gate for gate in found["gates"]}
        for name, like in (("rzz", "cz"), ("rx", "sx")):
            gate = deepcopy(gates[like]) | {"name": name, "parameters": ["theta"]}
            found["gates"].append(gate)
            found["basis_gates"].append(name)
            found["supported_instructions"].append(name)
        return found

    def backend_properties(self, *_, **__):
        found = json.loads((FILES / f"props_{MACHINE}.json").read_text())
        return found | {"backend_name": NAME}

    def backend_status(self, *_):
        return {
            "backend_name": NAME,
            "backend_version": "1",
            "operational": True,
            "status_msg": "active",
            "pending_jobs": 0,
        }

    def cloud_usage(self):
        return {"usage_limit_reached": False, "usage_consumed_seconds": 0}

    def create_session(self, backend, _instance=None, max_time=None, mode=None):
        name = f"session-{len(self.sessions)}"
        self.sessions[name] = {"id": name, "mode": mode, "backend_name": backend}
        return self.sessions[name] | {"state": "open", "accepting_jobs": True}

    def close_session(self, name):
        self.sessions[name]["closed"] = True

    def program_run(self, **request):
        if self.sessions.get(request["session_id"], {}).get("closed"):
            text = f"Session {request['session_id']} is closed"
            raise RequestsApiError(text, status_code=409)
        name = f"job-{next(self._numbers)}"
        self.jobs[name] = request | {"created": datetime.now(UTC).isoformat()}
        return {"id": name, "backend": request["backend_name"]}

    def job_get(self, job_id, exclude_params=True):
        job = self.jobs[job_id]
        state = {"status": "Completed", "reason": None}
        answer = {
            "id": job_id,
            "backend": job["backend_name"],
            "program": {"id": job["program_id"]},
            "state": state,
            "status": state["status"],
            "created": job["created"],
            "tags": job["job_tags"],
        }
        return answer if exclude_params else answer | {"params": job["params"]}

    def jobs_get(self, limit=None, skip=None, job_tags=None, **_):
        """List jobs, the last first; every one has all the tags."""
        found = [
            self.job_get(name)
            for name, job in self.jobs.items()
            if set(job_tags or []) <= set(job["job_tags"] or [])
        ][::-1]
        return {"jobs": found[skip or 0 :][:limit], "count": len(found)}

    def job_metadata(self, job_id):
        usage = {"qpu_charge_time_seconds": 1}
        if self.charges:
            usage = {"qpu_charge_time_seconds": self.price(job_id), "status": "final"}
        return {"usage": usage, "timestamps": {}}

    def price(self, job_id):
        """Return what IBM's guide says of usage: 2 s, and every shot with its delay."""
        seconds = 2.0
        program = self._program(job_id)
        for item in program.items:
            runs = prod(item.circuit_arguments.shape[:-1]) * program.shots
            seconds += runs * (self._duration(item.circuit) + 250e-6)
        return seconds

    def _duration(self, circuit):
        """Return the seconds of the longest path, by the device's table of gates."""
        lengths = gate_lengths()
        until, places = {}, {bit: k for k, bit in enumerate(circuit.qubits)}
        for step in circuit.data:
            qubits = [places[q] for q in step.qubits]
            name = "cz" if step.operation.name == "rzz" else step.operation.name
            name = "sx" if name == "rx" else name
            last = max(until.get(q, 0.0) for q in qubits)
            for q in qubits:
                long = 1.56e-6 if name == "measure" else lengths.get((name, (q,)), 0.0)
                pair = lengths.get((name, tuple(qubits)), 0.0)
                until[q] = last + (pair if len(qubits) == 2 else long)
        return max(until.values())

    def _program(self, job_id):
        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"]
        request = converter.model.model_validate(self.jobs[job_id]["params"])
        return converter.decoder(request)[0]

    def job_results(self, job_id):
        """Run what was submitted; the answer travels as JSON, as from the server."""
        program = self._program(job_id)
        for item in program.items:
            if hasattr(item, "samplex"):
                item.samplex.finalize()
        answers = run_quantum_program(AerSimulator(), program, SimulatorOptions())
        data = [
            models.QuantumProgramResultItemModel(
                results={
                    name: CompressedTensorModel.from_numpy(values)
                    for name, values in answer.items()
                },
                metadata=models.ItemMetadataModel(),
            )
            for answer in answers
        ]
        return models.QuantumProgramResultModel(
            data=data,
            metadata=models.MetadataModel(chunk_timing=[]),
            passthrough_data=passthrough_data_to_2_0(program.passthrough_data),
            semantic_role=program._semantic_role,
        ).model_dump_json()


@contextmanager
def offline_service():
    """Yield a service and its client; no token leaves, because none is there."""
    client = OfflineClient()
    account = "qiskit_ibm_runtime.accounts.account.Account"
    instance = {"crn": INSTANCE, "plan": "open", "name": "offline", "tags": []}
    with (
        patch(
            "qiskit_ibm_runtime.qiskit_runtime_service.RuntimeClient",
            lambda *_, **__: client,
        ),
        patch(
            f"{account}.list_instances",
            lambda _: [instance | {"pricing_type": "free"}],
        ),
        patch(f"{account}.resolve_crn", lambda _: None),
    ):
        yield (
            QiskitRuntimeService(
                channel="ibm_quantum_platform", token="none" * 11, instance=INSTANCE
            ),
            client,
        )
