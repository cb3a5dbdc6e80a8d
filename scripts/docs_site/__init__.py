"""Makes the documentation site: what can be read from the code is read from the code, at build time."""
