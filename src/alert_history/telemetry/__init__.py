"""Logs, and what all metrics have in common. What a room measures stands beside that room."""
