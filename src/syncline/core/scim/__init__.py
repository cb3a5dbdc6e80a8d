"""SCIM 2.0 (RFC 7643, 7644, 9865) and the 1.1 skin: parsing, meaning and shapes, without I/O."""
