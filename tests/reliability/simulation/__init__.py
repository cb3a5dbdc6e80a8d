"""Log and dispatcher on a virtual clock: the real code, a seeded world around it, and a judge."""
