"""Parts for demonstrations and tests: a simulated identity provider, a webhook receiver, invented people."""
