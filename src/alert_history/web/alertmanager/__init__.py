"""Alertmanager's API v2, for amtool, karma, Grafana and whoever reads an Alertmanager: now, and at any past moment."""
