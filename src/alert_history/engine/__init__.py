"""The use cases. No SQL, no HTTP, no vendor: they speak to the ports."""
