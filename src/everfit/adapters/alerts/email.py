"""Alarms by e-mail, over SMTP.

No extra; `alerts: [{email: {server: "smtp.example.org:587", to: [team@example.org], sender: everfit@example.org, user:
everfit, password: "${SMTP_PASSWORD}"}}]`. The connection is secured by STARTTLS unless `tls` says otherwise; a server
that does not offer it gets neither name, password nor alarm. A resolved alarm answers the mail that opened it, so that
mail programs show one thread. What moved is drawn: as pictures inside the mail, and in characters in its plain text.
Limits: one mail an alarm.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from dataclasses import dataclass, field

from everfit.adapters.alerts.mail import mail
from everfit.adapters.posting import PATIENCE, Patience, Sleep
from everfit.errors import ProjectError, StorageError
from everfit.records.watch import Alarm


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """`server` is HOST:PORT; `tls` is starttls, ssl or none; without a `user` there is no login."""

    server: str
    to: tuple[str, ...]
    sender: str
    project: str = "everfit"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str = "starttls"
    patience: Patience = PATIENCE
    context: ssl.SSLContext | None = field(default=None, repr=False)


class EmailAlerts:
    """An AlertChannel that mails. ProjectError when the server is not HOST:PORT or an address is none."""

    def __init__(self, config: EmailConfig, sleep: Sleep = time.sleep) -> None:
        self._config = config
        self._sleep = sleep
        host, _, port = config.server.rpartition(":")
        if not host or not port.isdigit():
            raise ProjectError("an e-mail server is HOST:PORT", where="alerts", fix='write "smtp.example.org:587"')
        if not config.to or not all("@" in one and one.isprintable() for one in (*config.to, config.sender)):
            raise ProjectError("an e-mail address is missing or none", where="alerts", fix="name `to` and `sender`")
        self._host, self._port = host, int(port)

    def send(self, alarm: Alarm) -> None:
        """Delivers; StorageError when it was refused for good, or after all attempts."""
        attempts = self._config.patience.attempts
        for attempt in range(1, attempts + 1):
            problem, final = self._once(alarm)
            if problem is None:
                return
            if final or attempt == attempts:
                raise StorageError(
                    f"the alarm {alarm.key} was not delivered, attempt {attempt} of {attempts}: {problem}",
                    where=f"e-mail server {self._host}",
                    fix="check server, port, `tls`, name and password, and whether it can be reached from here",
                )
            self._sleep(self._config.patience.pause * 2 ** (attempt - 1))

    def _once(self, alarm: Alarm) -> tuple[str | None, bool]:
        """What went wrong, if anything, without the password; and whether trying again is useless."""
        try:
            with self._connected() as server:
                if self._config.user:
                    server.login(self._config.user, self._config.password or "")
                server.send_message(mail(alarm, self._config.project, self._config.sender, self._config.to))
        except smtplib.SMTPNotSupportedError:
            return "it does not offer what is asked of it (STARTTLS, login)", True
        except smtplib.SMTPResponseException as error:
            return f"it answered {error.smtp_code}", error.smtp_code >= 500
        except smtplib.SMTPRecipientsRefused:
            return "it refused every recipient", True
        except (OSError, smtplib.SMTPException) as error:
            return f"no connection ({type(error).__name__})", isinstance(error, ssl.SSLCertVerificationError)
        return None, False

    def _connected(self) -> smtplib.SMTP:
        context = self._config.context or ssl.create_default_context()
        timeout = self._config.patience.timeout
        if self._config.tls == "ssl":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=timeout, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=timeout)
        if self._config.tls == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server
