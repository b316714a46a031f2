"""Larkspur, an invented app: files as its systems would export them. Simulated, seeded, says so."""
