"""Tests of the commands that talk to a running Syncline."""
