"""The door of senders: bytes and headers in, what became of each alert out."""
