"""Running Syncline for years: poolers, fail-over, backups, retention, erasure."""
