"""IBM's runtime without a network: all of it is real but its HTTP client.

Service, backend, session, sampler, job and decoders are those of qiskit-ibm-runtime; a
stand-in answers where calls would leave the machine, and runs what was submitted on
a simulator. The runtime's private modules are named here and nowhere else, so that its
version matters: 0.51 is what this was written for.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from qiskit import QuantumCircuit

MACHINE = "fez"  # 156 qubits, CZ; rzz and rx are added, as the real ones have them
NAME = f"ibm_{MACHINE}"
INSTANCE = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{'0' * 32}:{'0' * 8}::"
UNITS = {"ns": 1e-9, "us": 1e-6, "s": 1.0}
MEASUREMENT = 1.56e-6  # seconds, as the backend's target has it
OVERHEAD, DELAY = 2.0, 250e-6  # seconds of a job and between shots: IBM's guide


def offline_service(client: OfflineClient | None = None) -> Any:
    """Return a ``QiskitRuntimeService`` that never leaves the machine.

    Its one backend is ``ibm_fez``, without noise, and its jobs are simulated when their
    results are read. No account is needed, none is read, and nothing is charged.

    Args:
        client: What answers instead of the network.

    Returns:
        The runtime's own service.

    Example:
        >>> import qiskit_qep as qep
        >>> service = qep.testing.offline_service()
        >>> service.backend("ibm_fez").num_qubits
        156
    """
    from qiskit_ibm_runtime import QiskitRuntimeService

    with offline(OfflineClient() if client is None else client):
        return QiskitRuntimeService(
            channel="ibm_quantum_platform", token="none" * 11, instance=INSTANCE
        )


@contextmanager
def offline(client: OfflineClient) -> Iterator[None]:
    """Let every service that is made meanwhile ask a client instead of the network."""
    from unittest.mock import patch

    made = "qiskit_ibm_runtime.qiskit_runtime_service.RuntimeClient"
    account = "qiskit_ibm_runtime.accounts.account.Account"
    known = {"crn": INSTANCE, "plan": "open", "pricing_type": "free"}
    instances = [known | {"name": "offline", "tags": []}]
    with (
        patch(made, lambda *_, **__: client),
        patch(f"{account}.list_instances", lambda _: instances),
        patch(f"{account}.resolve_crn", lambda _: None),
    ):
        yield


@dataclass(eq=False)
class OfflineClient:
    """Answers what a runtime service asks of the network, and keeps the jobs.

    Attributes:
        folder: Where jobs are files, so that they outlive the process; None keeps them
            in memory.
        charges: Whether it says at once what jobs have cost; the real one says 0 until
            it knows.
        jobs: What was submitted, by identifier.
        sessions: That were opened, by identifier.
    """

    folder: str | os.PathLike[str] | None = None
    charges: bool = False
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    _instance: str = field(default=INSTANCE, init=False)  # the service compares it

    def __post_init__(self) -> None:
        """Read the jobs of earlier processes."""
        if self.folder is not None:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            for file in sorted(Path(self.folder).glob("job-*.json")):
                self.jobs[file.stem] = json.loads(file.read_text())

    def list_backends(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """Name the one backend."""
        status = {"name": "online", "reason": "available"}
        kind = {"class": "real", "queue_length": 0}
        return [{"name": NAME, "status": status, **kind}]

    def backend_configuration(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Describe its gates."""
        found = _file("conf")
        found["backend_name"] = NAME
        gates = {gate["name"]: gate for gate in found["gates"]}
        for name, like in (("rzz", "cz"), ("rx", "sx")):
            gate = deepcopy(gates[like]) | {"name": name, "parameters": ["theta"]}
            found["gates"].append(gate)
            found["basis_gates"].append(name)
            found["supported_instructions"].append(name)
        return found

    def backend_properties(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Describe its calibration."""
        return _file("props") | {"backend_name": NAME}

    def backend_status(self, *_: Any) -> dict[str, Any]:
        """Say that it is up."""
        return {
            "backend_name": NAME,
            "backend_version": "1",
            "operational": True,
            "status_msg": "active",
            "pending_jobs": 0,
        }

    def cloud_usage(self) -> dict[str, Any]:
        """Say that nothing was used up."""
        return {"usage_limit_reached": False, "usage_consumed_seconds": 0}

    def create_session(
        self, backend: str, _instance: Any = None, _time: Any = None, mode: Any = None
    ) -> dict[str, Any]:
        """Open a session or a batch."""
        name = f"session-{len(self.sessions)}"
        self.sessions[name] = {"id": name, "mode": mode, "backend_name": backend}
        return self.sessions[name] | {"state": "open", "accepting_jobs": True}

    def close_session(self, name: str) -> None:
        """Close a session: it takes no more jobs."""
        self.sessions[name]["closed"] = True

    def program_run(self, **request: Any) -> dict[str, Any]:
        """Take a job.

        Raises:
            RequestsApiError: If its session is closed.
        """
        if self.sessions.get(request["session_id"], {}).get("closed"):
            from qiskit_ibm_runtime.api.exceptions import RequestsApiError

            text = f"Session {request['session_id']} is closed"
            raise RequestsApiError(text, status_code=409)
        name = f"job-{len(self.jobs)}"
        self.jobs[name] = request | {"created": datetime.now(UTC).isoformat()}
        if self.folder is not None:
            file = Path(self.folder) / f"{name}.new"
            file.write_text(json.dumps(self.jobs[name]))
            file.rename(file.with_suffix(".json"))  # taken, or not
        return {"id": name, "backend": request["backend_name"]}

    def job_get(self, job_id: str, exclude_params: bool = True) -> dict[str, Any]:
        """Describe a job, which is always done."""
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

    def jobs_get(
        self,
        limit: int | None = None,
        skip: int | None = None,
        job_tags: Sequence[str] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """List jobs that have all the tags, the last first."""
        found = [
            self.job_get(name)
            for name, job in self.jobs.items()
            if set(job_tags or []) <= set(job["job_tags"] or [])
        ][::-1]
        return {"jobs": found[skip or 0 :][:limit], "count": len(found)}

    def job_metadata(self, job_id: str) -> dict[str, Any]:
        """Say what a job has cost, or not yet."""
        usage: dict[str, Any] = {"qpu_charge_time_seconds": 0}
        if self.charges:
            usage = {"qpu_charge_time_seconds": self.price(job_id), "status": "final"}
        return {"usage": usage, "timestamps": {}}

    def price(self, job_id: str) -> float:
        """Return what IBM's guide says of usage: 2 s, and every shot with its delay."""
        seconds, program = OVERHEAD, self._program(job_id)
        for item in program.items:
            runs = prod(item.circuit_arguments.shape[:-1]) * program.shots
            seconds += runs * (_duration(item.circuit) + DELAY)
        return seconds

    def job_results(self, job_id: str) -> str:
        """Run what was submitted; the answer travels as JSON, as from the server."""
        from ibm_quantum_schemas.common import CompressedTensorModel
        from ibm_quantum_schemas.executor.version_2_0 import models
        from qiskit_aer import AerSimulator
        from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import (
            run_quantum_program,
        )
        from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
        from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import (
            passthrough_data_to_2_0,
        )

        program = self._program(job_id)
        for item in program.items:
            if hasattr(item, "samplex"):
                item.samplex.finalize()
        # The same bits however often they are read.
        seed = SimulatorOptions(seed_simulator=int(job_id.split("-")[1]))
        answers = run_quantum_program(AerSimulator(), program, seed)
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
        return str(
            models.QuantumProgramResultModel(
                data=data,
                metadata=models.MetadataModel(chunk_timing=[]),
                passthrough_data=passthrough_data_to_2_0(program.passthrough_data),
                semantic_role=program._semantic_role,
            ).model_dump_json()
        )

    def _program(self, job_id: str) -> Any:
        from qiskit_ibm_runtime.quantum_program.params_converters import (
            QUANTUM_PROGRAM_PARAMS_CONVERTERS,
        )

        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"]
        request = converter.model.model_validate(self.jobs[job_id]["params"])
        return converter.decoder(request)[0]


def _file(kind: str) -> dict[str, Any]:
    """Return what the runtime knows of the machine."""
    import qiskit_ibm_runtime

    package = Path(qiskit_ibm_runtime.__file__).parent
    file = package / "fake_provider/backends" / MACHINE / f"{kind}_{MACHINE}.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@cache
def _gate_lengths() -> dict[tuple[str, tuple[int, ...]], float]:
    """Return the seconds of every gate on every qubit or pair."""
    return {
        (gate["gate"], tuple(gate["qubits"])): found["value"] * UNITS[found["unit"]]
        for gate in _file("props")["gates"]
        for found in gate["parameters"]
        if found["name"] == "gate_length"
    }


def _duration(circuit: QuantumCircuit) -> float:
    """Return the seconds of the longest path through a circuit."""
    lengths, like = _gate_lengths(), {"rzz": "cz", "rx": "sx"}
    places = {bit: k for k, bit in enumerate(circuit.qubits)}
    until = dict.fromkeys(range(circuit.num_qubits), 0.0)
    for step in circuit.data:
        qubits, name = tuple(places[q] for q in step.qubits), step.operation.name
        last = max(until[q] for q in qubits)
        for q in qubits:
            where = qubits if len(qubits) == 2 else (q,)  # a barrier is as wide as all
            long = lengths.get((like.get(name, name), where), 0.0)
            until[q] = last + (MEASUREMENT if name == "measure" else long)
    return max(until.values())
