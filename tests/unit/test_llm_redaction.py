"""Redaction: what looks like a secret or a person is gone, what does not stays, and no text takes long."""

from time import thread_time

import pytest

from alert_history.enrichers.redaction import Redactor, hides_something, visible

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabcd\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


def redacted(text: str, patterns: str | None = None) -> str:
    return Redactor(patterns).begin().text(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("password=hunter22", "password=[secret]"),
        ("DB_PASSWORD: 'two words' and more", "DB_PASSWORD: [secret] and more"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": [secret], "n": 1}'),
        (r"{\"password\": \"two words\", \"n\": 1}", r"{\"password\": [secret], \"n\": 1}"),
        ("mysql --password hunter22 -h db", "mysql --password [secret] -h db"),
        ("curl -u x --token=abc.def db", "curl -u x --token=[secret] db"),
        ("clientSecret=abc;x=1", "clientSecret=[secret];x=1"),
        ("secretKey: abc", "secretKey: [secret]"),
        ("Passwort: abc", "Passwort: [secret]"),
        ("пароль: abc; токена=def", "пароль: [secret]; токена=[secret]"),  # Cyrillic is meant
        ("<db:password type='x'>a b</db:password>", "<db:password type='x'>[secret]</db:password>"),
        ('["--token","abc","-v"]', '["--token",[secret],"-v"]'),
        ("curl -u ada:abc https://x", "curl -u ada:[secret] https://x"),
        ("/login?secret%3Dabc&x=1", "/login?secret%3D[secret]&x=1"),
        ("ip-10-1-2-3.ec2.internal is 10.1.2.3", "ip-1.ec2.internal is ip-1"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [secret]"),
        ("AccountKey=abc+/==;EndpointSuffix=x", "AccountKey=[secret];EndpointSuffix=x"),
        ("?sv=1&sig=abc%2B&se=2", "?sv=1&sig=[secret]&se=2"),
        ("Authorization: Bearer abc.def\nAccept: x", "Authorization: [secret]\nAccept: x"),
        ("-H 'Authorization: Basic dXNlcjpwYXNz' url", "-H 'Authorization: [secret]' url"),
        ("Cookie: a=b; c=d", "Cookie: [secret]"),
        ("sent bearer abcdefgh12345678 to it", "sent bearer [secret] to it"),
        (f"token {JWT} expired", "token [secret] expired"),
        (f"key:\n{PEM}\nend", "key:\n[secret]\nend"),
        (PEM[:50], "[secret]"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[secret]"),
        ("xoxb-1234567890-abcdef", "[secret]"),
        (f"aht_{'aZ09-_' * 7}a", "[secret]"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://[secret]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[secret]"),
        ("github_pat_11ABCDEFG0abcdefghijkl", "[secret]"),
        ("glpat-abcdefghijklmnopqrst", "[secret]"),
        ("sk-proj-abcdefghijklmnop", "[secret]"),
        ("Abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH", "[secret]"),
        ("postgres://app:s3cr/et@db:5432/x", "postgres://[secret]@db:5432/x"),
        ("https://ghs@git.example/x", "https://[secret]@git.example/x"),
        ("4111 1111 1111 1111 was charged", "[card] was charged"),
        ("call +49 170 1234567 now", "call phone-1 now"),
        ("call (555) 123-4567 or 555-123-4567", "call phone-1 or phone-1"),
        ("mail Bob.O'Neil+x@mail.example.com", "mail Bob.O'email-1"),
        ("jörg@müller.example and JÖRG@müller.example", "email-1 and email-1"),
        ("10.0.0.1, 10.0.0.2:9090, 10.0.0.1.", "ip-1, ip-2:9090, ip-1."),
        ("[2001:db8::1]:443 and 2001:DB8:0::1", "[ip-1]:443 and ip-1"),
        ("from ::ffff:10.0.0.1 to:fe80::1.", "from ip-1 to:ip-2."),
        ("pass\u200bword=hunter22", "password=[secret]"),
        ("ｐａｓｓｗｏｒｄ＝hunter22", "password=[secret]"),
    ],
)
def test_secrets_and_personal_data_are_blanked(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Pod shop/api-7d9f8b6c5-x2x4z is in CrashLoopBackOff for 15m0s.",
        "at 12:00:00 on 2026-11-24T12:00:00.000Z",
        "std::string and ::Error of ns::call",
        "aa:bb:cc:dd:ee:ff on eth0",
        "version 1.2.3 of v1.30.4-gke.1100",
        "registry.example/app@sha256:0123456789abcdef",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "97.5 % of 1234567890123 bytes, 1795521600 s",
        'sum(rate(http_requests_total{code=~"5.."}[5m])) > 0.05',
        "the password of the database was rotated",
        "basic authentication failed; the bearer of bad news",
        "https://grafana.example/d/abc?var-x=1",
        "a passing test, a compass: north",
        "order 1234-5678",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "api_key", "aws-secret-access-key", "sessionid", "TOKEN"]
)
def test_a_pair_named_like_a_secret_goes_as_a_whole(name: str) -> None:
    assert Redactor().begin().pair(name, "plain words") == (name, "[secret]")


@pytest.mark.parametrize("name", ["alertname", "compass", "summary", "passed", "tokenizer_job"])
def test_a_pair_named_otherwise_stays(name: str) -> None:
    assert Redactor().begin().pair(name, "plain words") == (name, "plain words")


def test_a_name_is_the_same_throughout_one_call_and_starts_anew_in_the_next() -> None:
    redactor = Redactor()
    redaction = redactor.begin()
    assert [redaction.text(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.0.1")] == ["ip-1", "ip-2", "ip-1"]
    assert redactor.begin().text("10.0.0.2") == "ip-1"


def test_patterns_of_the_operator_are_blanked_first() -> None:
    assert redacted("ACME-17 of 10.0.0.1 and x", "ACME-\\d+\n\n(?i)10\\.0\\.0\\.1") == "[redacted] of [redacted] and x"


def test_a_pattern_that_matches_nothing_at_all_changes_nothing() -> None:
    assert redacted("abc", "x*") == "abc"


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\U000e0041", "\ufeff", "\x00", "\u2066"])
def test_invisible_characters_are_noticed_and_removed(hidden: str) -> None:
    assert hides_something(f"a{hidden}b")
    assert visible(f"a{hidden}b") == "ab"


def test_ordinary_text_hides_nothing() -> None:
    assert not hides_something("Überlauf 日本語 👩‍💻\r\n\tend")


def test_lone_surrogates_do_not_break_it() -> None:
    assert redacted("a\ud800b password=x") == "a?b password=[secret]"


@pytest.mark.parametrize(
    "piece", ["a", "password=", "eyJ", ":", "1.", "@a.", '\\"', "-----BEGIN PRIVATE KEY-----", "://a:", "4 ", "a@"]
)
def test_time_is_linear_in_the_length_of_a_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        begin = thread_time()
        redacted(text)
        return thread_time() - begin

    redacted("warm up")
    short = min(seconds(20_000) for _ in range(3))
    long = min(seconds(160_000) for _ in range(3))
    assert long < 24 * short + 0.05  # eight times as long; a quadratic pattern would take 64 times
