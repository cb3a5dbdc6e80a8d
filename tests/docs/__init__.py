"""Tests of the documentation: complete, correct, and every block that can run runs."""
