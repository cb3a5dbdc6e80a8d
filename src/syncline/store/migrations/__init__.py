"""Alembic migrations of the store; `syncline.store.migrate` runs them."""
