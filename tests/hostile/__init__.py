"""Malformed requests by the hundred thousand, clients that hardly send, and what must come of them."""
