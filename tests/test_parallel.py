"""Parallel: results equal the serial ones bit for bit, wherever rows are settled."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import qiskit_qep as qep

MODEL = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
THETA = np.random.default_rng(0).normal(size=MODEL.num_trainable)
X, Y = qep.datasets.xor()


def gradients(equilibrium, executor, rows, nudge):
    how = {"seed": 3, "nudge": nudge}
    spread = qep.Parallel(equilibrium, executor, rows=rows)
    here = qep.gradient(MODEL, THETA, X, Y, equilibrium=equilibrium, **how)
    there = qep.gradient(MODEL, THETA, X, Y, equilibrium=spread, **how)
    return here, there


@pytest.mark.parametrize("rows", [None, 1, 3])
@pytest.mark.parametrize(
    ("equilibrium", "nudge"),
    [
        (qep.Exact(), qep.Nudge.centered(0.02)),
        (qep.Exact(), qep.Nudge.infinitesimal()),
        (qep.Sampled(500), qep.Nudge.random_sign(0.02)),
    ],
    ids=["centered", "infinitesimal", "shots"],
)
def test_threads_change_nothing(equilibrium, nudge, rows):
    with ThreadPoolExecutor(2) as pool:
        here, there = gradients(equilibrium, pool, rows, nudge)
    assert here.norm > 0.1
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.stds, there.stds)
    assert np.array_equal(here.inputs, there.inputs)


def test_processes_change_nothing():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        here, there = gradients(qep.Sampled(500), pool, 2, qep.Nudge.centered(0.02))
    assert here.stds.max() > 0
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.slope_stds, there.slope_stds)


def test_what_is_refused():
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="rows should be at least 1, got 0"):
            qep.Parallel(qep.Exact(), pool, rows=0)
        spread = qep.Parallel(qep.Sampled(10), pool)
        with pytest.raises(TypeError, match=r"infinitesimal.*response.*Sampled"):
            qep.gradient(
                MODEL,
                THETA,
                X,
                Y,
                equilibrium=spread,
                nudge=qep.Nudge.infinitesimal(),
            )
    with pytest.raises(ValueError, match="no phase to join"):
        qep.Phase.join([])
