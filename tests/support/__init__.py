"""What several test rooms share; nothing in here is a test."""
