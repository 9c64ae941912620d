"""Every alert channel against a receiver that speaks its protocol: opened, resolved, no secret in sight."""

from __future__ import annotations

import hashlib
import hmac
import io
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Session

from everfit.adapters.alerts.alertmanager import AlertmanagerAlerts, AlertmanagerConfig
from everfit.adapters.alerts.email import EmailAlerts, EmailConfig
from everfit.adapters.alerts.pagerduty import PagerDutyAlerts, PagerDutyConfig
from everfit.adapters.alerts.slack import SlackAlerts, SlackConfig
from everfit.adapters.alerts.webhook import SIGNATURE, WebhookAlerts, WebhookConfig
from everfit.adapters.posting import Patience
from everfit.errors import ProjectError, StorageError
from everfit.ports import AlertChannel
from everfit.records.shape import Shape
from everfit.records.watch import Alarm, AlarmKind, AlarmState
from everfit.testing.contracts import AlertChannelContract
from tests.adapters import receivers
from tests.services.alertmanager import Alertmanager

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALARM = Alarm(
    "drift:1:<!channel>", AlarmKind.DRIFT, NOW, "<!channel> moved: 31% & more\x07", {"effect": 0.31}, 0.001, "a"
)
QUICK = Patience(timeout=5, attempts=2, pause=0.0)
NOWHERE = "http://127.0.0.1:9/SECRET"  # port 9 is for discarding; nothing listens there


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def still(_: float) -> None:
    """No pause."""


class OverHttp(AlertChannelContract):
    """The contract with a receiver that checks what it gets."""

    check: receivers.Check = staticmethod(receivers.anything)
    good = 200

    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with receivers.receiving(type(self).check, self.good) as self.receiver:
            yield

    def to(self, url: str) -> AlertChannel:
        raise NotImplementedError

    def broken(self, folder: Path) -> AlertChannel:
        return self.to(NOWHERE)

    def delivered(self, folder: Path) -> str:
        return b"\n".join(self.receiver.raw).decode().replace("prediction_drift", "drift")

    def test_odd_text_is_taken_by_the_receiver(self, tmp_path: Path) -> None:
        self.make(tmp_path).send(ALARM)
        self.make(tmp_path).send(replace(ALARM, message="x" * 10_000))
        assert len(self.receiver.taken) == 2

    def test_an_error_shows_no_secret(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError) as told:
            self.broken(tmp_path).send(ALARM)
        assert "SECRET" not in str(told.value) + repr(self.broken(tmp_path))


class TestSlackAlerts(OverHttp):
    check = staticmethod(receivers.slack)

    def make(self, folder: Path) -> SlackAlerts:
        return self.to(self.receiver.url)

    def to(self, url: str) -> SlackAlerts:
        return SlackAlerts(SlackConfig(url, QUICK), still)

    def test_an_end_is_told_as_one(self, tmp_path: Path) -> None:
        self.make(tmp_path).send(replace(ALARM, state=AlarmState.RESOLVED))
        assert self.receiver.taken[0]["text"].startswith("RESOLVED")


class TestPagerDutyAlerts(OverHttp):
    check = staticmethod(receivers.pagerduty("SECRET"))
    good = 202

    def make(self, folder: Path) -> PagerDutyAlerts:
        return self.to(self.receiver.url)

    def to(self, url: str) -> PagerDutyAlerts:
        return PagerDutyAlerts(PagerDutyConfig("SECRET", "churn", url, QUICK), still)

    def test_an_incident_is_opened_acknowledged_and_resolved_under_one_key(self, tmp_path: Path) -> None:
        for state in AlarmState:
            self.make(tmp_path).send(replace(ALARM, state=state))
        assert [e["event_action"] for e in self.receiver.taken] == ["trigger", "acknowledge", "resolve"]
        assert {e["dedup_key"] for e in self.receiver.taken} == {ALARM.id}

    def test_a_wrong_key_is_refused_at_once(self) -> None:
        channel = PagerDutyAlerts(PagerDutyConfig("WRONG", "churn", self.receiver.url, QUICK), still)
        with pytest.raises(StorageError, match="answered 400"):
            channel.send(ALARM)


class TestSignedWebhook(OverHttp):
    def make(self, folder: Path) -> WebhookAlerts:
        return self.to(self.receiver.url)

    def to(self, url: str) -> WebhookAlerts:
        return WebhookAlerts(WebhookConfig(url, key="SECRET", attempts=2), still)

    def test_the_receiver_can_check_who_sent_it(self, tmp_path: Path) -> None:
        self.make(tmp_path).send(ALARM)
        seconds, _, digest = self.receiver.headers[0][SIGNATURE].partition(",v1=")
        signed = seconds.removeprefix("t=").encode() + b"." + self.receiver.raw[0]
        assert digest == hmac.new(b"SECRET", signed, hashlib.sha256).hexdigest()
        assert self.receiver.taken[0]["id"] == ALARM.id


class TestAlertmanagerAlerts(AlertChannelContract):
    @pytest.fixture(autouse=True)
    def _server(self, alertmanager_server: Alertmanager) -> None:
        self.server = alertmanager_server

    def make(self, folder: Path) -> AlertmanagerAlerts:
        return AlertmanagerAlerts(AlertmanagerConfig(self.server.url, folder.name, patience=QUICK), still)

    def delivered(self, folder: Path) -> str:
        found = [a for a in self.server.alerts() if a["labels"]["project"] == folder.name]
        return " ".join(f"{a['annotations']['summary']} {a['labels']['kind']}" for a in found)

    def broken(self, folder: Path) -> AlertmanagerAlerts:
        return AlertmanagerAlerts(AlertmanagerConfig("http://127.0.0.1:9", patience=QUICK), still)

    def test_an_alarm_that_is_over_is_active_no_longer(self, tmp_path: Path) -> None:
        for state in (AlarmState.OPEN, AlarmState.RESOLVED):
            self.make(tmp_path).send(replace(ALARM, state=state))
            active = [a for a in self.server.alerts() if a["labels"]["alarm"] == ALARM.id]
            assert bool(active) is (state is AlarmState.OPEN)


class Mailbox:
    """What an SMTP server was given."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Session, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content.decode())
        return "250 OK"

    def login(self, server: Any, session: Session, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"SECRET")


def mailing(
    port: int, tls: str = "none", context: ssl.SSLContext | None = None, password: str | None = None
) -> EmailAlerts:
    config = EmailConfig(
        f"localhost:{port}", ("team@example.org", "b@example.org"), "everfit@example.org", "churn",
        user="everfit" if password else None, password=password, tls=tls, patience=QUICK, context=context,
    )  # fmt: skip
    return EmailAlerts(config, still)


class TestEmailAlerts(AlertChannelContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        self.box, self.port = Mailbox(), free_port()
        controller = Controller(self.box, hostname="localhost", port=self.port)
        controller.start()
        yield
        controller.stop()

    def make(self, folder: Path) -> EmailAlerts:
        return mailing(self.port)

    def delivered(self, folder: Path) -> str:
        return "\n".join(self.box.mails)

    def broken(self, folder: Path) -> EmailAlerts:
        return mailing(9)

    def test_an_end_answers_the_mail_that_opened_it(self, tmp_path: Path) -> None:
        for state in (AlarmState.OPEN, AlarmState.RESOLVED):
            self.make(tmp_path).send(replace(ALARM, state=state))
        opened, resolved = self.box.mails
        name = f"<everfit-{ALARM.id}@example.org>"
        assert f"Message-ID: {name}" in opened
        assert f"In-Reply-To: {name}" in resolved
        assert "resolved:" in resolved

    def test_a_server_without_starttls_gets_neither_password_nor_alarm(self) -> None:
        with pytest.raises(StorageError, match="does not offer") as told:
            mailing(self.port, "starttls", password="SECRET").send(ALARM)
        assert (self.box.mails, self.box.logins) == ([], [])
        assert "SECRET" not in str(told.value)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and its own certificate for localhost."""
    key, made = tmp_path / "key.pem", tmp_path / "cert.pem"
    call = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(made)]
    subprocess.run(
        [*call, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )
    return key, made


def test_mail_goes_over_starttls_with_a_login_and_only_to_who_is_trusted(certificate: tuple[Path, Path]) -> None:
    key, made = certificate
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(made, key)
    box, port = Mailbox(), free_port()
    controller = Controller(
        box, hostname="localhost", port=port, tls_context=own, authenticator=box.login, auth_required=True
    )
    controller.start()
    try:
        mailing(port, "starttls", ssl.create_default_context(cafile=str(made)), "SECRET").send(ALARM)
        assert (len(box.mails), box.logins) == (1, [(b"everfit", b"SECRET")])
        with pytest.raises(StorageError, match="no connection"):
            mailing(port, "starttls", password="SECRET").send(ALARM)
        with pytest.raises(StorageError, match="was not delivered") as told:
            mailing(port, "starttls", ssl.create_default_context(cafile=str(made)), "WRONG").send(ALARM)
        assert "WRONG" not in str(told.value)
        assert len(box.mails) == 1
    finally:
        controller.stop()


@pytest.mark.parametrize(("server", "to"), [("", "a@b"), ("host", "a@b"), ("host:25", "nobody")])
def test_an_address_that_is_none_is_told_when_the_channel_is_made(server: str, to: str) -> None:
    with pytest.raises(ProjectError):
        EmailAlerts(EmailConfig(server, (to,), "c@d"))


AGE = Shape("<age>", ("20", "40", "60"), (0.75, 0.25), (0.25, 0.75), binned=True)


def test_a_mail_shows_what_moved_as_pictures_inside_it_and_in_characters() -> None:
    from PIL import Image

    from everfit.adapters.alerts.mail import mail

    found = mail(replace(ALARM, shapes=(AGE,)), "churn", "c@d", ("a@b",))
    plain, page, picture = (part for part in found.walk() if not part.is_multipart())
    assert "training  █▃\n  now       ▃█" in str(plain.get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
    html = str(page.get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
    assert f'src="cid:{picture["Content-ID"][1:-1]}"' in html
    assert "<age>" not in html
    drawn = Image.open(io.BytesIO(picture.get_payload(decode=True))).convert("RGB")  # type: ignore[arg-type]
    assert drawn.size == (480, 120)
    assert {color for _, color in drawn.getcolors() or ()} == {(255, 255, 255), (195, 204, 214), (11, 98, 184)}


def test_a_message_in_slack_shows_what_moved_in_characters() -> None:
    from everfit.adapters.alerts.slack import message

    blocks = message(replace(ALARM, shapes=(replace(AGE, column="`<!channel>`"),)))["blocks"]
    assert "```'&lt;!channel&gt;'\ntraining  █▃\nnow       ▃█```" in str(blocks).replace("\\n", "\n")


def test_a_mail_says_what_to_do_and_its_headers_hold_no_control_characters() -> None:
    from everfit.adapters.alerts.mail import mail

    found = mail(replace(ALARM, message="evil\r\nBcc: x@y"), "churn", "c@d", ("a@b",))
    assert "\n" not in found["Subject"]
    assert found["Bcc"] is None
    assert f"everfit acknowledge {ALARM.id}" in found.get_content()
    assert io.StringIO(found.as_string()).readline()
