"""Whom alerts are passed on to, one vendor a file. Other packages add their own by an entry point."""
