"""Senders as they are, simulated: what a Prometheus, a vmalert or an Alertmanager sends while conditions come and go.

Times are seconds since the start of a story. What they do was seen on real ones; docs/explanation/senders.md lists it.
"""
