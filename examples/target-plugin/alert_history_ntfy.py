"""The format `ntfy`: an alert is a push message on a topic of a ntfy server.

Source: ntfy's documentation, "Publish as JSON": a POST to the server's root with `topic`, `message`, `title`, `tags`, and
`priority` from 1 (lowest) to 5.
"""

import httpx
import msgspec

from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.targets import answers

_PRIORITIES = {"critical": 5, "warning": 4}


def make(spec: TargetSpec, client: httpx.AsyncClient) -> "NtfyTarget":
    """Called for each Secret or folder of this format. Raises ValueError naming the key that is missing or wrong."""
    return NtfyTarget(
        answers.url_of(spec, "url"),
        client,
        topic=answers.required(spec, "topic"),
        token=spec.fields.get("token", ""),
    )


class NtfyTarget:
    """One topic."""

    speaks_of_groups = False  # each message holds one alert
    default_rate_per_minute = 12.0  # ntfy.sh lets one visitor send a message every five seconds
    takes_follow_ups = False  # a message that was pushed can't be changed

    def __init__(self, url: str, client: httpx.AsyncClient, *, topic: str, token: str) -> None:
        self._url = url
        self._client = client
        self._topic = topic
        self._token = token

    async def send(self, message: Message) -> Sent:
        """One attempt. `answers.post` raises Retryable or Rejected, by what the server says."""
        (alert,) = message.alerts
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        body = msgspec.json.encode(ntfy_message(alert, topic=self._topic))
        await answers.post(self._client, self._url, body=body, headers=headers, secrets=[self._token, self._topic])
        return Sent()

    def url_shown(self) -> str:
        """The address without what is secret; on ntfy.sh who knows a topic may read it."""
        return answers.url_shown(self._url)


def ntfy_message(alert: Outgoing, *, topic: str) -> dict[str, object]:
    """What is posted about one alert."""
    is_firing = alert.status == "firing"
    name = alert.labels.get("alertname", "an alert without a name")
    return {
        "topic": topic,
        "title": f"{name} {'is firing' if is_firing else 'is resolved'}",
        "message": alert.annotations.get("summary") or "No summary",
        "priority": _PRIORITIES.get(alert.labels.get("severity", ""), 3) if is_firing else 2,
        "tags": ["rotating_light" if is_firing else "white_check_mark"],
    }
