"""Our own tokens, as a scanner of secrets knows them: detect-secrets loads this file by its path."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class OwnTokenDetector(RegexBasedDetector):
    """A token of Alert History: `aht_` and 256 bits in base64url."""

    secret_type = "Alert History Token"  # noqa: S105  # the name of the kind
    denylist = (re.compile(r"aht_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),)
