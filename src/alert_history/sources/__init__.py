"""What senders send, decoded: bytes in, an `AlertGroup` out. Pure: no I/O, no clock, no logging.

One module a sender. A body that is useless as a whole raises; anything wrong with one alert becomes a
`Refused` with its reason, and the others are kept.
"""

from alert_history.sources.dispatch import decode_webhook
from alert_history.sources.prometheus import decode_prometheus

__all__ = ["decode_prometheus", "decode_webhook"]
