"""Hardware abstraction: one contract (`hal.api`), several boards."""
