"""Syncline: customers' directories in, one ordered log of changes out."""

__version__ = "0.1.0"
