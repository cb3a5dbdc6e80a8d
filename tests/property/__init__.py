"""Properties that hold for every input, against models and round trips."""
