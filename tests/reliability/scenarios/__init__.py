"""Scenarios that break real processes; each module registers its own (`tests.reliability.registry`)."""
