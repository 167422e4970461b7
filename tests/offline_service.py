"""The runtime without a network: all of it is real but its HTTP client.

Service, backend, sampler, job and decoders are the runtime's own; a stand-in answers
where REST calls would leave the machine, and runs the submitted program on a simulator.
The private modules that this needs are named here and nowhere else.
"""

import json
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from unittest.mock import patch

import qiskit_ibm_runtime
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import models
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import QiskitRuntimeService
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
FILES = Path(qiskit_ibm_runtime.__file__).parent / "fake_provider/backends" / MACHINE


class OfflineClient:
    """Answers what the service asks, and keeps the jobs."""

    def __init__(self):
        self.jobs = {}
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

    def program_run(self, **request):
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
        return {"usage": {"qpu_charge_time_seconds": 1}, "timestamps": {}}

    def job_results(self, job_id):
        """Run what was submitted; the answer travels as JSON, as from the server."""
        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"]
        request = converter.model.model_validate(self.jobs[job_id]["params"])
        program, _ = converter.decoder(request)
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


@contextmanager
def saved_account(folder, token, name="work"):
    """Save an account in a folder instead of the home; let no service leave offline."""
    file = str(folder / "saved-accounts.json")
    place = "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE"
    with patch(place, file), offline_service() as (_, client):
        QiskitRuntimeService.save_account(
            token=token, instance=INSTANCE, name=name, set_as_default=True
        )
        yield client
