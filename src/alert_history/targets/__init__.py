"""Whom alerts are passed on to, one vendor a file. Found by entry point, so others can add their own."""
