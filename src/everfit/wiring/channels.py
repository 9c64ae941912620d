"""Where alarms go, as the project names it, to the adapters that bring them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from everfit.errors import ProjectError
from everfit.ports import AlertChannel
from everfit.project.sections.monitoring import Channel
from everfit.project.sections.root import Project


def channels(project: Project) -> Mapping[str, AlertChannel]:
    """Each channel by its name: the kind, and a number where there are several of one. Raises ProjectError for one
    that lacks what it needs."""
    found: dict[str, AlertChannel] = {}
    for channel in project.alerts:
        same = sum(name.split(" ")[0] == channel.kind for name in found)
        name = f"{channel.kind} {same + 1}" if same else channel.kind
        found[name] = _CHANNELS[channel.kind](channel, project.name)
    return found


def _console(_: Channel, __: str) -> AlertChannel:
    from everfit.adapters.alerts.console import ConsoleAlerts

    return ConsoleAlerts()


def _webhook(channel: Channel, _: str) -> AlertChannel:
    from everfit.adapters.alerts.webhook import WebhookAlerts, WebhookConfig

    return WebhookAlerts(WebhookConfig(_secret(channel, "url"), _optional(channel.key)))


def _slack(channel: Channel, _: str) -> AlertChannel:
    from everfit.adapters.alerts.slack import SlackAlerts, SlackConfig

    return SlackAlerts(SlackConfig(_secret(channel, "url")))


def _pagerduty(channel: Channel, project: str) -> AlertChannel:
    from everfit.adapters.alerts.pagerduty import EVENTS, PagerDutyAlerts, PagerDutyConfig

    return PagerDutyAlerts(PagerDutyConfig(_secret(channel, "key"), project, channel.server or EVENTS))


def _email(channel: Channel, project: str) -> AlertChannel:
    from everfit.adapters.alerts.email import EmailAlerts, EmailConfig

    password = _optional(channel.password)
    return EmailAlerts(
        EmailConfig(
            channel.server or "", channel.to, channel.sender or "", project, channel.user, password, channel.tls
        )
    )


def _alertmanager(channel: Channel, project: str) -> AlertChannel:
    from everfit.adapters.alerts.alertmanager import AlertmanagerAlerts, AlertmanagerConfig

    return AlertmanagerAlerts(AlertmanagerConfig(channel.server or "", project))


def _secret(channel: Channel, field: str) -> str:
    found: SecretStr | None = getattr(channel, field)
    if found is None:
        what = "a webhook needs a URL" if channel.kind == "webhook" else f"{channel.kind} needs its {field}"
        raise ProjectError(what, where="alerts", fix=f"write {{{channel.kind}: ${{NAME}}}}")
    return found.get_secret_value()


def _optional(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


_CHANNELS: Mapping[str, Callable[[Channel, str], AlertChannel]] = {
    "console": _console,
    "webhook": _webhook,
    "slack": _slack,
    "pagerduty": _pagerduty,
    "email": _email,
    "alertmanager": _alertmanager,
}
