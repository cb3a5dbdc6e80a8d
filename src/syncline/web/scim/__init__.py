"""The SCIM server that identity providers push to."""
