"""The REST API, in the shapes that the official WorkOS SDKs read."""
