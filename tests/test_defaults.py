"""The library's defaults train; benchmarks/success_rates.py says how often."""

import numpy as np
import pytest

import qiskit_qep as qep

XOR = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])


def steps_to_success(model, x, y, seed, limit=300, **how):
    """Return the first step with all signs right and a loss below 0.1, or None."""
    for state in qep.steps(model, x, y, seed=seed, **how):
        if np.all(state.gradient.prediction * y > 0) and state.loss < 0.1:
            return state.step
        if state.step == limit:
            return None


@pytest.mark.parametrize("seed", range(10))
def test_xor_is_learnt_with_the_defaults(seed):
    assert steps_to_success(XOR, *qep.datasets.xor(), seed)


@pytest.mark.parametrize("seed", range(2))
def test_parity_of_three_bits_is_learnt_with_the_defaults(seed):
    model = qep.models.transverse_field_ising(6, inputs=[0, 1, 2], readout=[5])
    assert steps_to_success(model, *qep.datasets.parity(3), seed)


def test_what_is_learnt_is_kept():
    x, y = qep.datasets.xor()
    state = qep.train(XOR, x, y, steps=300, seed=0, progress=False)
    assert state.loss < 0.01
    np.testing.assert_allclose(qep.predict(XOR, state.theta, x), y, atol=0.1)


def test_a_failure_is_seen():
    odd = qep.models.transverse_field_ising(
        6, inputs=[0, 1], readout=[5], bias=False
    )  # p(-x) = -p(x), and XOR is even
    assert steps_to_success(odd, *qep.datasets.xor(), seed=0, limit=100) is None
