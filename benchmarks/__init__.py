"""Figures of the product and of its open peers, measured in one run (scripts/bench)."""
