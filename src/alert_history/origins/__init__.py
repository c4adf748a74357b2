"""Clients of Alertmanagers and Prometheus servers that are asked what fires. They read, and never write there."""
