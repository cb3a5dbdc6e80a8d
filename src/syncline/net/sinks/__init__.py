"""The protocols of event sinks, one file each; a client library is imported only when its sink is used."""
