"""Deterministic torture: one seed is one random world, judged at every instant from what its plants really do."""
