"""Fuzzing of everything that reads text of strangers: `scripts/fuzz`, and a short form among the tests."""
