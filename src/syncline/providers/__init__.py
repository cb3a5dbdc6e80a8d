"""Providers as data: one file each, plus the registry of what a directory can be."""
