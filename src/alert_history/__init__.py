"""Alert History: the flight recorder of alerting."""

__version__ = "0.2.0"
