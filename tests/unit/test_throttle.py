"""Failed tries to sign in make an address wait, and never one that has not failed."""

from alert_history.web.http.throttle import Throttle


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_address_waits_after_ten_failures_until_a_minute_is_over() -> None:
    time = Time()
    throttle = Throttle(time)
    for _ in range(10):
        assert throttle.wait_seconds("192.0.2.1") == 0
        throttle.note_failure("192.0.2.1")
        time.seconds += 1
    assert throttle.wait_seconds("192.0.2.1") == 50
    assert throttle.wait_seconds("192.0.2.2") == 0
    time.seconds += 50
    assert throttle.wait_seconds("192.0.2.1") == 0


def test_many_addresses_that_fail_wait_after_one_failure_each_and_others_do_not() -> None:
    throttle = Throttle(Time())
    for number in range(301):
        throttle.note_failure(f"192.0.{number // 250}.{number % 250}")
    assert throttle.wait_seconds("192.0.0.0") > 0
    assert throttle.wait_seconds("198.51.100.1") == 0


def test_all_addresses_of_a_network_of_ipv6_are_one() -> None:
    throttle = Throttle(Time())
    for number in range(10):
        throttle.note_failure(f"2001:db8::{number}")
    assert throttle.wait_seconds("2001:db8::ffff") > 0
    assert throttle.wait_seconds("2001:db8:0:1::1") == 0


def test_it_remembers_a_bounded_number_of_addresses() -> None:
    throttle = Throttle(Time())
    for number in range(10_500):
        throttle.note_failure(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(throttle._failures) == 10_000  # noqa: SLF001  # what it remembers is its own affair, how much is not
