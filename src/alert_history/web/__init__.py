"""HTTP: bytes and headers in, answers out. It decides nothing that the engine should decide."""
