"""The setting by which replicas take turns at asking what fires."""

TURN_SETTING = "reconcile_turn"
"""Whose turn it is to ask what fires, and until when."""
