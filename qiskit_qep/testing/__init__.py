"""Services that fail, and one without a network: to test what must survive."""

from .chaos import FAULTS as FAULTS
from .chaos import Chaos as Chaos
from .chaos import ChaosJob as ChaosJob
from .chaos import RefusalError as RefusalError
from .offline import OfflineClient as OfflineClient
from .offline import offline_service as offline_service
