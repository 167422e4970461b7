"""Models people work on, as ready-made ``Model`` factories."""

from .classical import classical_ising as classical_ising
from .cluster import cluster_ising as cluster_ising
from .elastic import elastic_network as elastic_network
from .encodings import fock as fock
from .encodings import position_grid as position_grid
from .heisenberg import heisenberg as heisenberg
from .heisenberg import xx_zz_network as xx_zz_network
from .heisenberg import xxz as xxz
from .honeycomb import kitaev_honeycomb as kitaev_honeycomb
from .honeycomb import kitaev_plaquettes as kitaev_plaquettes
from .ising import transverse_field_ising as transverse_field_ising
from .oscillators import oscillator_network as oscillator_network
from .rydberg import rydberg_chain as rydberg_chain
from .sensors import cluster_sensor as cluster_sensor
from .sensors import kitaev_sensor as kitaev_sensor
