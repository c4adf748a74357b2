"""Situations in which somebody asks why a receiver was notified of an alert, or not: what happens, and what came of it.

A table of values. Each situation has a route of its own, by the label `situation`, and receivers whose names begin
with the situation's. `outcomes` are what a real Alertmanager 0.25 did; `tests.e2e.situation_stage` plays all of them at
once, and the test beside it holds that this is so. Must not know how an answer of ours is worded.
"""

from typing import Literal, NamedTuple

GROUP_WAIT_SECONDS = 2
GROUP_INTERVAL_SECONDS = 3
REPEAT_INTERVAL_SECONDS = 3600
"""The timers of a situation that names none."""

ASKED_SECONDS = 12.0
"""When it is asked, counted from the beginning, unless a situation says otherwise."""

ASKED = "asked"
"""The value of the label `member` of the alert that is asked about."""

Reason = Literal[
    "notified",
    "waiting_for_its_group",
    "waiting_for_the_next_group_interval",
    "resolved_before_group_wait",
    "fired_again_before_the_next_group_interval",
    "silenced",
    "inhibited",
    "muted_by_a_time_interval",
    "receiver_notifies_nobody",
    "refused",
    "failing",
    "send_resolved_is_off",
    "cut_off",
    "alertmanager_unreachable",
]
"""Why a receiver stands where it stands when it is asked. `notified`: it was told of the newest change."""


class Post(NamedTuple):
    """An alert that is posted `at` so many seconds, of a start then; `ends` is its end, else it is far ahead."""

    at: float
    member: str = ASKED
    starts: float | None = None
    ends: float | None = None
    role: str = ""


class Silenced(NamedTuple):
    """A silence of one member from `at` on; it is expired by hand at `until`, if that is given."""

    at: float
    until: float | None = None
    member: str = ASKED


class Telling(NamedTuple):
    """The receiver is sent the alert at about so many seconds, as firing or resolved, and answers."""

    at: float
    status: Literal["firing", "resolved"]
    answer: int = 200


class Outcome(NamedTuple):
    """What a receiver was sent of the alert until it is asked, and the reason why it was not sent more.

    `without_its_mute` is whether it would have been notified of the firing, had nothing muted the alert.
    """

    receiver: str
    reason: Reason
    tellings: tuple[Telling, ...] = ()
    without_its_mute: bool | None = None


class Receiver(NamedTuple):
    """A receiver of a situation. It answers by `answers` in turn, the last one for ever; none: it has no webhook."""

    name: str = "hook"
    answers: tuple[int, ...] = (200,)
    sends_resolved: bool = True
    max_alerts: int = 0


class Situation(NamedTuple):
    """`settings` are lines of its route; `receivers` beyond the first are reached by `continue`."""

    name: str
    story: str
    happens: tuple[Post | Silenced, ...]
    outcomes: tuple[Outcome, ...]
    receivers: tuple[Receiver, ...] = (Receiver(),)
    settings: tuple[str, ...] = ()
    asked_at: float = ASKED_SECONDS
    is_known_to_alertmanager: bool = True


TIME_INTERVALS = {"always": "2020:2100", "never": "2001:2002"}
"""Time intervals, by name, of whole years."""

FIRED = Telling(2, "firing")

SITUATIONS = (
    Situation(
        "notified",
        "It fires, and its group's wait is over.",
        (Post(0),),
        (Outcome("hook", "notified", (FIRED,)),),
    ),
    Situation(
        "waiting",
        "Its group still waits.",
        (Post(0),),
        (Outcome("hook", "waiting_for_its_group"),),
        settings=("group_wait: 60s",),
    ),
    Situation(
        "resolved-early",
        "It resolves before its group's wait is over.",
        (Post(0), Post(2, starts=0, ends=2)),
        (Outcome("hook", "resolved_before_group_wait"),),
        settings=("group_wait: 5s",),
    ),
    Situation(
        "silenced",
        "It is silenced from before it fires on.",
        (Silenced(-1), Post(0)),
        (Outcome("hook", "silenced", without_its_mute=True),),
    ),
    Situation(
        "silence-ends",
        "It is silenced at first; its group notifies at the next interval after the end of the silence.",
        (Silenced(-1, until=3.5), Post(0)),
        (Outcome("hook", "notified", (Telling(5, "firing"),)),),
    ),
    Situation(
        "silenced-midway",
        "It is silenced after it was notified, and resolves then: nothing is said of its end.",
        (Post(0), Silenced(3.5), Post(6.5, starts=0, ends=6.5)),
        (Outcome("hook", "silenced", (FIRED,)),),
    ),
    Situation(
        "inhibited",
        "Another alert inhibits it all the while.",
        (Post(-1, member="cause", role="source"), Post(0, role="target")),
        (Outcome("hook", "inhibited", without_its_mute=True),),
    ),
    Situation(
        "cause-resolves",
        "Another alert inhibits it until that one resolves.",
        (
            Post(-1, member="cause", role="source"),
            Post(0, role="target"),
            Post(2.5, member="cause", role="source", starts=-1, ends=2.5),
        ),
        (Outcome("hook", "notified", (Telling(4, "firing"),)),),
    ),
    Situation(
        "muted-by-time",
        "A time interval that is on mutes its route.",
        (Post(0),),
        (Outcome("hook", "muted_by_a_time_interval", without_its_mute=True),),
        settings=("mute_time_intervals: [always]",),
    ),
    Situation(
        "not-active",
        "Its route is active only in a time interval that is off.",
        (Post(0),),
        (Outcome("hook", "muted_by_a_time_interval", without_its_mute=True),),
        settings=("active_time_intervals: [never]",),
    ),
    Situation(
        "nobody",
        "Its receiver has nothing that notifies.",
        (Post(0),),
        (Outcome("hook", "receiver_notifies_nobody"),),
        receivers=(Receiver(answers=()),),
    ),
    Situation(
        "two-receivers",
        "Two receivers, by `continue`.",
        (Post(0),),
        (Outcome("hook", "notified", (FIRED,)), Outcome("second", "notified", (FIRED,))),
        receivers=(Receiver(), Receiver("second")),
    ),
    Situation(
        "recovers",
        "The receiver fails twice; Alertmanager sends again within the same flush.",
        (Post(0),),
        (Outcome("hook", "notified", (Telling(2, "firing", 500), Telling(2.5, "firing", 503), Telling(3, "firing"))),),
        receivers=(Receiver(answers=(500, 503, 200)),),
        settings=("group_interval: 10s",),
    ),
    Situation(
        "refuses",
        "The receiver refuses; Alertmanager does not send again until the next interval, where it is refused anew.",
        (Post(0),),
        (
            Outcome(
                "hook", "refused", (Telling(2, "firing", 400), Telling(6, "firing", 400), Telling(10, "firing", 400))
            ),
        ),
        receivers=(Receiver(answers=(400,)),),
        settings=("group_interval: 4s",),
    ),
    Situation(
        "next-interval",
        "It joins a group that was just notified, and is told at the next interval.",
        (Post(0, member="first"), Post(3)),
        (Outcome("hook", "notified", (Telling(5, "firing"),)),),
    ),
    Situation(
        "interval-ahead",
        "It joins a group that was just notified, and the next interval is not there yet.",
        (Post(0, member="first"), Post(3)),
        (Outcome("hook", "waiting_for_the_next_group_interval"),),
        settings=("group_interval: 60s",),
    ),
    Situation(
        "repeated",
        "It is told again at the first interval after `repeat_interval` is over.",
        (Post(0),),
        (Outcome("hook", "notified", (FIRED, Telling(8, "firing"))),),
        settings=("repeat_interval: 5s",),
        asked_at=10.0,
    ),
    Situation(
        "resolved",
        "It resolves, and that is told at the next interval.",
        (Post(0), Post(4, starts=0, ends=4)),
        (Outcome("hook", "notified", (FIRED, Telling(5, "resolved"))),),
    ),
    Situation(
        "end-untold",
        "It resolves, and the receiver is not to be told of ends.",
        (Post(0), Post(4, starts=0, ends=4)),
        (Outcome("hook", "send_resolved_is_off", (FIRED,)),),
        receivers=(Receiver(sends_resolved=False),),
    ),
    Situation(
        "cut-off",
        "Its group has more alerts than the receiver takes, and others come before it by their labels.",
        (Post(0, member="a"), Post(0)),
        (Outcome("hook", "cut_off"),),
        receivers=(Receiver(max_alerts=1),),
    ),
    Situation(
        "expires",
        "Its sender falls silent, and the end that it named comes: to Alertmanager it has resolved.",
        (Post(0, starts=0, ends=4),),
        (Outcome("hook", "notified", (FIRED, Telling(5, "resolved"))),),
    ),
    Situation(
        "flaps",
        "It resolves and fires again before the next interval: nothing is said of either.",
        (Post(0), Post(3.5, starts=0, ends=3.5), Post(5.5, starts=5.5)),
        (Outcome("hook", "fired_again_before_the_next_group_interval", (FIRED,)),),
        settings=("group_interval: 6s",),
    ),
    Situation(
        "unreachable",
        "Its Alertmanager can't be reached: no sender told it of the alert, and we can't ask it.",
        (Post(0),),
        (Outcome("hook", "alertmanager_unreachable"),),
        is_known_to_alertmanager=False,
    ),
)
