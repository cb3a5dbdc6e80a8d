"""The loops that run beside the web: sealing, webhook dispatch, upkeep."""
