"""Other people's SCIM checkers and clients against a running Syncline (docs/scim-conformance.md)."""
