"""Threats, each with its check (`events-webhooks.md` §6)."""
