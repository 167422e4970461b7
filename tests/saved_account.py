"""An account that is saved in a folder, and whose services never leave the machine."""

from contextlib import contextmanager
from unittest.mock import patch

from qiskit_ibm_runtime import QiskitRuntimeService

from qiskit_qep.testing import OfflineClient
from qiskit_qep.testing.offline import INSTANCE

RUNTIME = "qiskit_ibm_runtime"
CLIENT = f"{RUNTIME}.qiskit_runtime_service.RuntimeClient"
FILE = f"{RUNTIME}.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE"
ACCOUNT = f"{RUNTIME}.accounts.account.Account"
KNOWN = {"crn": INSTANCE, "plan": "open", "name": "offline", "tags": []}


@contextmanager
def saved_account(folder, token, name="work"):
    """Yield the client of every service that is made meanwhile, by this account."""
    client = OfflineClient()
    known = [KNOWN | {"pricing_type": "free"}]
    with (
        patch(FILE, str(folder / "saved-accounts.json")),
        patch(
            f"{RUNTIME}.qiskit_runtime_service.RuntimeClient", lambda *_, **__: client
        ),
        patch(f"{ACCOUNT}.list_instances", lambda _: known),
        patch(f"{ACCOUNT}.resolve_crn", lambda _: None),
    ):
        QiskitRuntimeService.save_account(
            token=token, instance=INSTANCE, name=name, set_as_default=True
        )
        yield client
