"""From which values on something is shown as bad, and what values are called. The alerts fire at the same ones."""

from monitoring.grafana import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, thresholds

MODES = {"0": ("transparent", BLUE), "1": ("enriched", GREEN), "2": ("with recommendations", YELLOW)}
PAUSES = {"0": ("called", GREEN), "1": ("left alone", ORANGE)}
SHARE_IS_GOOD = thresholds((None, RED), (0.8, YELLOW), (0.95, GREEN))
AGE = thresholds((None, GREEN), (60, YELLOW), (300, RED))
LEVELS = {"critical": RED, "warning": ORANGE, "info": BLUE, "noise": GREY}
ENDS = {"success": GREEN, "failure": ORANGE, "dead": RED, "superseded": GREY}
NONE_IS_GOOD = thresholds((None, GREEN), (1, RED))
ANSWER = thresholds((None, GREEN), (0.25, YELLOW), (1, RED))
COMMIT = thresholds((None, GREEN), (0.1, YELLOW), (0.5, RED))
