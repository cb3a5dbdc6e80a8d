"""The only code that opens outbound sockets."""
