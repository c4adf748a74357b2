"""`alert-history doctor`, of the audit: whether its chains are as they were written."""

from datetime import date, timedelta

from alert_history.cli.finding import Finding
from alert_history.engine.audit_check import AuditReport, check_audit
from alert_history.ports import AuditTrail

_NEWEST = timedelta(days=7)
_SHOWN = 5
_REMEDY = "compare it with the log of that day: whoever may write to the database may have changed it"


async def examine_audit(trail: AuditTrail, *, today: date, is_whole: bool) -> list[Finding]:
    """Check the chains of the newest days, or all; no findings where there is none yet."""
    since = "" if is_whole else (today - _NEWEST).isoformat()
    report = await check_audit(trail, since=since)
    if report.faults:
        hidden = len(report.faults) - _SHOWN
        more = [Finding("audit", "fault", f"and {hidden} more breaks", _REMEDY)] if hidden > 0 else []
        return [*(Finding("audit", "fault", fault, _REMEDY) for fault in report.faults[:_SHOWN]), *more]
    return [] if report.newest is None else [Finding("audit", "ok", _words(report, is_whole=is_whole))]


def _words(report: AuditReport, *, is_whole: bool) -> str:
    span = "all days" if is_whole else f"the newest {_NEWEST.days} days"
    text = f"{report.entries:,} entries of {span} are as they were written"
    newest = report.newest
    return text if newest is None else f"{text}; chain {newest.number}, of {newest.day}, ends with {newest.last_digest}"
