"""selftest: what is broken on purpose is seen, by the check that is meant to see it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from qiskit.primitives import (
    BackendSamplerV2,
    BaseSamplerV2,
    BitArray,
    PrimitiveResult,
    SamplerPubResult,
    StatevectorSampler,
)
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.data_bin import DataBin
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.primitives.primitive_job import PrimitiveJob
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qiskit_qep as qep

NAMES = ["qubit order", "parameter order", "layout", "basis signs"]
NAMES += ["shot noise", "gradient"]


@dataclass
class Broken(BaseSamplerV2):
    """Ideal shots, but for what is done to the circuits, the angles or the bits."""

    seed: int
    angles: Any = None  # (circuit, values) -> values
    bits: Any = None  # (circuit, values, bits) -> bits, qubit 0 first

    def run(self, pubs, *, shots=None):
        asked = [SamplerPub.coerce(pub, shots) for pub in pubs]
        changed = [self._changed(pub) for pub in asked]
        rng = np.random.default_rng(self.seed)
        answer = StatevectorSampler(seed=rng).run(changed).result()
        parts = []
        for pub, part in zip(changed, answer, strict=True):
            bits = part.data.meas.to_bool_array("little")
            if self.bits is not None:
                bits = self.bits(pub.circuit, self._values(pub), bits)
            made = BitArray.from_bool_array(bits, order="little")
            parts.append(SamplerPubResult(DataBin(meas=made, shape=pub.shape)))
        job = PrimitiveJob(PrimitiveResult, parts)
        job._submit()
        return job

    @staticmethod
    def _values(pub):
        return pub.parameter_values.as_array(pub.circuit.parameters)

    def _changed(self, pub):
        if self.angles is None or not pub.circuit.num_parameters:
            return pub
        values = self.angles(pub.circuit, self._values(pub))
        bound = BindingsArray({tuple(pub.circuit.parameters): values}, pub.shape)
        return SamplerPub(pub.circuit, bound, pub.shots)


def reverse(circuit, values, bits):
    return bits[..., ::-1]


def permute(circuit, values):
    """Bind in the order of the letters of the names."""
    names = [parameter.name for parameter in circuit.parameters]
    out = np.empty_like(values)
    out[..., np.argsort(names)] = values
    return out


def shift_when_coupled(circuit, values, bits):
    """Forget where the qubits went, in circuits that move them."""
    return np.roll(bits, 1, axis=-1) if "cx" in circuit.count_ops() else bits


def negate_basis(circuit, values):
    """Turn the other way before measuring X and Y."""
    is_basis = [p.name.startswith("basis") for p in circuit.parameters]
    return np.where(is_basis, -values, values)


def repeat_shots(circuit, values, bits):
    """Draw half of the shots, and give each twice."""
    half = bits[..., : (bits.shape[-2] + 1) // 2, :]
    return np.repeat(half, 2, axis=-2)[..., : bits.shape[-2], :]


def repeat_rows(circuit, values, bits):
    """Give every row the shots of the first that has the same angles."""
    if values.ndim < 2:
        return bits
    rows = values.reshape(-1, values.shape[-1])
    _, first = np.unique(rows, axis=0, return_index=True)
    of = [next(k for k in first if np.array_equal(rows[k], row)) for row in rows]
    return bits.reshape(len(rows), *bits.shape[-2:])[of].reshape(bits.shape)


def weaken(circuit, values):
    """Turn long circuits less than they ask for, as if angles were half angles."""
    return values if circuit.size() < 30 else 0.8 * values


def verdicts(sampler, **how):
    found = list(qep.selftest(sampler, **how))
    assert [verdict.name for verdict in found] == NAMES
    return {verdict.name: verdict.passed for verdict in found}


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ({"bits": reverse}, "qubit order"),
        ({"angles": permute}, "parameter order"),
        ({"bits": shift_when_coupled}, "layout"),
        ({"angles": negate_basis}, "basis signs"),
        ({"bits": repeat_shots}, "shot noise"),
        ({"bits": repeat_rows}, "shot noise"),
        ({"angles": weaken}, "gradient"),
    ],
    ids=lambda x: next(iter(x.values())).__name__ if isinstance(x, dict) else x,
)
def test_what_is_broken_is_seen_first_where_it_is(fault, first):
    found = verdicts(lambda seed: Broken(seed, **fault), ideal=True)
    assert next(name for name, passed in found.items() if not passed) == first
    if first in ("layout", "shot noise", "gradient"):  # nothing else needs it
        assert sum(found.values()) == 5


def test_jobs_that_repeat_their_noise_are_seen():
    found = verdicts(lambda seed: Broken(7), ideal=True)
    assert [name for name, passed in found.items() if not passed] == ["shot noise"]


@pytest.mark.parametrize("seed", range(5))
def test_ideal_shots_pass(seed):
    assert all(
        verdicts(lambda s: Broken(s), shots=1000, ideal=True, seed=seed).values()
    )


def test_seeds_decide_everything():
    def simulator(seed):
        return StatevectorSampler(seed=np.random.default_rng(seed))

    first, again, other = (
        list(map(repr, qep.selftest(simulator, shots=500, seed=seed)))
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_device_with_errors_passes_but_is_not_ideal():
    whole = FakeTorino()
    part = qep.cut_backend(whole, qep.best_qubits(whole, 4))

    def device(seed):
        sampler = BackendSamplerV2(backend=part, options={"seed_simulator": seed})
        return qep.Transpiled(sampler, part, seed=1)

    assert all(verdicts(device, shots=1000).values())
    ideal = verdicts(device, ideal=True)
    assert [name for name, passed in ideal.items() if not passed] == ["gradient"]


def test_qubits_that_move_come_back_to_their_numbers():
    line = [[0, 1], [1, 2], [2, 3]]
    backend = AerSimulator(coupling_map=line, basis_gates=["cz", "rz", "sx", "x"])
    backend.set_options(n_qubits=4)
    device = qep.Transpiled(
        BackendSamplerV2(backend=backend), backend, seed=1, qubits=[2, 0, 3, 1]
    )
    assert all(verdicts(device, ideal=True).values())


def test_a_verdict_is_a_line_with_its_bound():
    *_, noise, gradient = qep.selftest(StatevectorSampler(), shots=500, ideal=True)
    assert repr(noise).startswith("passed  shot noise      variance / sigma^2")
    assert "should be 1 ± 0.31" in repr(noise)
    assert "should be below 5" in repr(gradient)
    assert repr(qep.Verdict("layout", False, "far")) == "FAILED  layout          far"


def test_what_is_no_sampler_is_refused():
    with pytest.raises(TypeError, match="sampler should be a BaseSamplerV2"):
        next(qep.selftest(3))
    with pytest.raises(ValueError, match="shots should be at least 500, to tell"):
        next(qep.selftest(StatevectorSampler(), shots=499))
    with pytest.raises(ValueError, match="fixed seed 1"):
        next(qep.selftest(StatevectorSampler(seed=1)))
