"""Alert History: the flight recorder of alerting."""

__version__ = "0.1.0"
