"""The command line: `alert-history`."""

from alert_history.cli.app import main

__all__ = ["main"]
