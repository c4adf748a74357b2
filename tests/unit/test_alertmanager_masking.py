"""Secrets of a configuration are masked before it is stored, and what decides who is notified stays.

Holds: `domain.alertmanager.masking`.
"""

from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alertmanager.masking import masked
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.errors import InvalidConfiguration
from tests.monitoring.documents import amtool

WHOLE = """
global:
  smtp_auth_password: {secret}
  slack_api_url: https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/{secret}
  smtp_auth_password_file: /etc/secrets/smtp
  victorops_api_url: https://alert.victorops.com/integrations/generic/20131114/alert/
  http_config:
    proxy_url: http://me:{secret}@proxy:3128
    http_headers: {{X-Custom: {{values: [{secret}]}}, Accept: {{values: [text/plain]}}}}
    oauth2:
      client_id: me
      client_secret: {secret}
      token_url: "https://id/{secret}"
      endpoint_params: {{a: {secret}}}
    tls_config:
      key: |- # {secret}
        {secret}
route: {{receiver: a, routes: [{{match: {{token: keep}}, matchers: ['password="keep"']}}]}}
receivers:
- name: a
  webhook_configs:
  - url: http://10.0.0.1:9/hook/{secret}?x={secret}#{secret}
    http_config:
      authorization: {{type: Bearer, credentials: &x '{secret}'}}
      basic_auth: {{username: me, password: *x}}
  pagerduty_configs: [{{routing_key: "{secret}", details: {{api-key: {secret}, what: "{{{{ .CommonLabels }}}}"}}}}]
  email_configs: [{{to: a@b.c, headers: {{X-Auth-Token: {secret}, Subject: hello}}}}]
  opsgenie_configs:
  - api_key: >
      {secret}
    api_url: https://u:{secret}@api.opsgenie.com/
  # the old one was {secret}
  slack_configs: [{{title_link: "https://wiki.example.org/a/b?token={secret}&page=2", text: 'xoxb-12345678-{secret}'}}]
tracing: {{headers: {{X-Custom: {{values: [{secret}]}}, X-Token: {secret}}}}}
? [odd]
: {secret}
"""
SECRET = "s3cr3tValue"  # noqa: S105 — made up


def test_no_secret_is_left() -> None:
    assert SECRET not in masked(WHOLE.format(secret=SECRET))


def test_what_is_masked_is_read_as_before() -> None:
    text = WHOLE.format(secret=SECRET)
    assert read_configuration(masked(text)) == read_configuration(text)
    assert 'password="keep"' in masked(text)


@pytest.mark.parametrize(
    "kept",
    [
        "smtp_auth_password_file: /etc/secrets/smtp",
        "victorops_api_url: https://alert.victorops.com/integrations/generic/20131114/alert/",
        "client_id: me",
        "authorization: {type: Bearer, credentials: &x '<secret>'}",
        "url: http://10.0.0.1:9/hook/<secret>?x=<secret>#<secret>",
        "proxy_url: http://%3Csecret%3E@proxy:3128",
        "Accept: {values: [text/plain]}",
        "Subject: hello",
        "https://wiki.example.org/a/b?token=<secret>&page=2",
        "{{ .CommonLabels }}",
    ],
)
def test_what_is_no_secret_is_left(kept: str) -> None:
    assert kept in masked(WHOLE.format(secret=SECRET))


def test_amtool_takes_what_is_masked(tmp_path: Path) -> None:
    """The parser of URLs that it uses refuses `<` before a host."""
    hook = "http://me:pw@127.0.0.1:9/a/b?c=d#e"  # pragma: allowlist secret
    path = tmp_path / "alertmanager.yml"
    path.write_text(masked(f"route: {{receiver: a}}\nreceivers: [{{name: a, webhook_configs: [{{url: '{hook}'}}]}}]\n"))
    assert "SUCCESS" in amtool("check-config", path)


def test_what_alertmanager_has_masked_stays_as_it_is() -> None:
    text = "global:\n  slack_api_url: <secret>\n  http_config:\n    proxy_url: http://me:xxxxx@proxy:1\n"
    assert masked(text) == text


@pytest.mark.parametrize(
    "value",
    [
        "AKIAIOSFODNN7EXAMPLE",  # pragma: allowlist secret
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.c2ln",  # pragma: allowlist secret
        "0123456789abcdef0123456789abcdef",  # pragma: allowlist secret
        "/etc/slack/T0AAAAAAA/B0AAAAAAA/abcdefgh1234",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "123456789:AAFakeTokenForTestsOnly_abcdefghijk",  # pragma: allowlist secret
        "Basic dXNlcjpwYXNzd29yZA==",  # pragma: allowlist secret
        "redis://me:pw@cache/0",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(value: str) -> None:
    text = masked(f"receivers:\n- name: a\n  new_configs:\n  - anything: '{value}'\n")
    assert value not in text
    assert unquote(text).count("<secret>") == 1


def test_names_of_receivers_stay_whatever_they_look_like() -> None:
    text = "receivers:\n- name: 0123456789abcdef0123456789abcdef\n  labels: {token: x}\n"  # pragma: allowlist secret
    assert masked(text) == text


def test_of_what_cannot_be_read_nothing_is_kept() -> None:
    text = masked(f"a: [\n  {SECRET}")
    assert text.startswith("# nothing is kept")
    assert SECRET not in text
    with pytest.raises(InvalidConfiguration, match="empty"):
        read_configuration(text)


def test_aliases_without_end_are_masked_soon() -> None:
    lines = ["x0: &x0 {password: a}", *(f"x{n + 1}: &x{n + 1} [{', '.join([f'*x{n}'] * 10)}]" for n in range(30))]
    assert masked("\n".join(lines)).startswith("x0: &x0 {password: <secret>}")


@pytest.mark.parametrize(
    "value", ["a" * 1_000_000, "eyJ-" * 250_000, "a-" * 500_000, "a://" * 200_000, "basic " * 200_000, " " * 1_000_000]
)
def test_a_long_value_is_masked_soon(value: str) -> None:
    assert masked(f"receivers: [{{name: a, x_configs: [{{text: '{value}'}}]}}]{' ' * 1_000_000}\n").startswith(
        "receivers:"
    )


VALUES = st.text("ab:-[]{}&*<>|!%@`'\"#?,\n ~0é😀", min_size=1, max_size=20)


@given(st.dictionaries(st.sampled_from(["password", "url", "text", "a_file"]), VALUES), st.sampled_from(["'", '"', ""]))
def test_masking_twice_is_masking_once(fields: dict[str, str], quote: str) -> None:
    lines = [f"  {name}: {quote}{value}{quote}" for name, value in fields.items()]
    once = masked("\n".join(["global:", *lines, "route: {receiver: a}", "receivers: [{name: a}]"]))
    assert masked(once) == once
    with suppress(InvalidConfiguration):
        read_configuration(once)


@given(
    around=st.tuples(VALUES, VALUES),
    key=st.sampled_from(["password", "api_key", "bot-token", "client_secret"]),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    is_flow=st.sampled_from([None, True, False]),
    width=st.sampled_from([20, 1000]),
)
def test_a_secret_is_masked_however_yaml_writes_it(
    *, around: tuple[str, str], key: str, style: str | None, is_flow: bool | None, width: int
) -> None:
    settings = {key: SECRET.join(around), "other": ["é 😀", {"k": "v: w"}]}
    whole = {"route": {"receiver": "a"}, "receivers": [{"name": "a", "x_configs": [settings]}]}
    text = yaml.dump(whole, default_style=style, default_flow_style=is_flow, width=width, allow_unicode=True)
    again = yaml.safe_load(masked(text))
    assert again["receivers"][0]["x_configs"][0] == {**settings, key: "<secret>"}
    assert again["route"] == whole["route"]
