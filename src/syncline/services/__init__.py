"""Use-cases: they own transactions and the order of things, and know neither SQL nor HTTP."""
