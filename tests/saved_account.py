"""An account that is saved in a folder, and whose services never leave the machine."""

from contextlib import contextmanager
from unittest.mock import patch

from qiskit_ibm_runtime import QiskitRuntimeService

from qiskit_qep.testing import OfflineClient
from qiskit_qep.testing.offline import INSTANCE, offline

FILE = "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE"


@contextmanager
def saved_account(folder, token, name="work"):
    """Yield the client of every service that is made meanwhile, by this account."""
    client = OfflineClient()
    with patch(FILE, str(folder / "saved-accounts.json")), offline(client):
        QiskitRuntimeService.save_account(
            token=token, instance=INSTANCE, name=name, set_as_default=True
        )
        yield client
