"""The simulated world: plant, vehicle, RS-485 line, and a board over them."""
