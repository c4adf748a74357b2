"""Pure rules of alerting: values in, values out. No I/O, no await, no clock, no logging."""
