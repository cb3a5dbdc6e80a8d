"""Syncline's tests; the rooms are listed in CONTRIBUTING.md."""
