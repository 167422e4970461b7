"""A planted secret is in no file, line of output, log, repr or error of ours."""

import gc
import logging
import os

import pytest
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.api.exceptions import RequestsApiError

import qiskit_qep as qep
from qiskit_qep import _backends, _config, _run, cli
from qiskit_qep._keys import ConfigError
from qiskit_qep.runtime import resumable
from qiskit_qep.testing.offline import INSTANCE, NAME
from saved_account import saved_account

SECRET = "pLANTEDsecret" + "0123456789" * 3 + "X"  # 44 letters, as a token of IBM's
CONFIG = """\
steps = 1
backend = "ibm_fez"
max_jobs = 9
[data]
kind = "xor"
test = 0
[model]
kind = "transverse_field_ising"
num_spins = 2
inputs = [0, 1]
readout = [1]
[equilibrium]
kind = "prepared"
shots = 20
preparation = { kind = "ramp", time = 1, steps = 1 }
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, beside an account with the secret; also in the variables."""
    (home := tmp_path / "home").mkdir()
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", INSTANCE)
    monkeypatch.setattr(resumable, "SETTLING", 0.0)
    monkeypatch.setattr(cli, "logistic_regression", lambda _: None)
    (here / "x.toml").write_text(CONFIG)
    with saved_account(home, SECRET) as client:
        assert SECRET in (home / "saved-accounts.json").read_text()
        yield here, client
    gc.collect()


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def assert_clean(folder, capsys, caplog):
    printed = capsys.readouterr()
    assert printed.out
    assert SECRET not in printed.out + printed.err
    assert SECRET not in caplog.text
    for path in files(folder):
        assert SECRET.encode() not in path.read_bytes(), path
        assert SECRET not in path.name


def test_a_run_writes_and_prints_no_secret(here, capsys, caplog):
    folder, client = here
    caplog.set_level(logging.DEBUG, "qiskit_qep")
    argvs = [["plan", "x.toml"], ["train", "x.toml", "--out", "run"]]
    for argv in [*argvs, ["resume", "run"], ["show", "run"], ["jobs", "run"]]:
        assert cli.main(argv) == 0
    assert client.jobs
    names = {path.name for path in files(folder)}
    assert {"config.toml", "state.npz", "jobs.jsonl", "summary.json"} <= names
    assert_clean(folder, capsys, caplog)


def test_the_service_that_is_used_does_have_the_secret(here):
    service = QiskitRuntimeService()
    assert SECRET in (service._account.token, service.active_account()["token"])


def test_no_repr_shows_a_secret(here):
    folder, _ = here
    config = _config.load(folder / "x.toml")
    backend = _run.connection(config)
    connected = _run.connected(config, backend, folder)
    sampler = connected.equilibrium.sampler
    assert sampler.service is backend.service
    service = backend.service
    assert SECRET in (service._account.token, service.active_account()["token"])
    shown = [config, backend, connected, sampler, connected.equilibrium]
    for thing in [*shown, sampler.sampler, qep.plan(connected.model, [[1.0, 1.0]])]:
        assert SECRET not in repr(thing) + str(thing)


def test_a_token_in_the_place_of_a_name_is_not_repeated(here, capsys, caplog):
    folder, _ = here
    for option in ("--account", "--backend"):
        assert cli.main(["train", "x.toml", option, SECRET]) == 2
        printed = capsys.readouterr()
        assert f"{option[2:]} should be a name of at most 32" in printed.err
        assert SECRET not in printed.out + printed.err
    for line in (f'account = "{SECRET}"', f'token = "{SECRET}"'):
        (folder / "y.toml").write_text(f"{line}\n{CONFIG}")
        with pytest.raises(
            ConfigError, match=r"should be a name|no key 'token'"
        ) as got:
            _config.load(folder / "y.toml")
        assert SECRET not in f"{got.value!r}{got.value}"
        assert cli.main(["train", "y.toml"]) == 2
        (folder / "y.toml").unlink()
    assert not (folder / "runs").exists()
    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize("status", [401, 429, 400, 504, None])
@pytest.mark.parametrize("call", ["backend_configuration", "program_run"])
def test_a_library_that_quotes_a_secret_is_not_quoted(
    here, capsys, caplog, monkeypatch, call, status
):
    folder, client = here

    def quoting(*_, **__):
        text = f"{status} Client Error: for apikey {SECRET}"
        raise RequestsApiError(text, status_code=status) if status else KeyError(text)

    monkeypatch.setattr(client, call, quoting)
    assert cli.main(["train", "x.toml", "--out", "run"]) == 2
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    assert SECRET not in caplog.text
    for path in files(folder):
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_connection_that_fails_hides_what_it_was_told(here, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", SECRET)
    with pytest.raises(ConfigError, match="no backend 'ibm_fez' by") as got:
        _backends.connect(NAME, qep.Model(["ZZ"]).operators, account="nobody")
    seen, error = "", got.value
    while error is not None:
        seen += f"{error!r}{error}"
        error = error.__cause__
    assert SECRET not in seen
    assert got.value.__suppress_context__


def test_the_variables_are_left_alone(here):
    assert cli.main(["plan", "x.toml"]) == 0
    assert os.environ["QISKIT_IBM_TOKEN"] == SECRET
