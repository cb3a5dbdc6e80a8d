"""The reliability suite: scenarios that break things on purpose, and one oracle that judges them all."""
