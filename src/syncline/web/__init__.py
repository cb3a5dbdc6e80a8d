"""ASGI shells: they read requests, call services, write answers, and see neither rows nor connections."""
