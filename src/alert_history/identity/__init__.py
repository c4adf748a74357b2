"""Clients of identity providers. What a module needs is an extra, so it is imported by who makes its object."""
