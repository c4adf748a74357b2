"""`python -m alert_history` is `alert-history`."""

from alert_history.cli import main

main()
