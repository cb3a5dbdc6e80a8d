"""The pure inside: no I/O, no clock, no randomness, no SQL, no web."""
