"""How a register is brought into a ground state: as circuits, with their angles."""
