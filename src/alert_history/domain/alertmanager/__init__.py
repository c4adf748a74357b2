"""What an Alertmanager does with alerts, in its own semantics: routes, groups, silences, inhibitions, time intervals.

Pure: nothing here asks an Alertmanager, or knows how we came to know its configuration. Our own routes, to our own
targets, are `domain.routes`.
"""
