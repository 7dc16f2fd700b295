"""Alerts by e-mail, over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from email.message import EmailMessage
from email.utils import format_datetime
from email.utils import localtime
from ipaddress import ip_address

from .channel import TIMEOUT
from .channel import NotDelivered
from .message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server, and who logs in there.

    :param is_tls: TLS from the first byte on (``smtps:``); otherwise ``STARTTLS`` where the server offers it.
    """

    host: str
    port: int
    is_tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class Mail:
    """Sends each alert as one mail to all recipients."""

    name = "email"

    def __init__(self, server: Server, sender: str, recipients: tuple[str, ...]) -> None:
        self._server = server
        self._sender = sender
        self._recipients = recipients

    def send(self, message: Message) -> None:
        try:
            server = self._connected()
            try:
                refused = server.send_message(self._mail(message), self._sender, list(self._recipients))
            finally:
                _leave(server)
        except smtplib.SMTPRecipientsRefused as error:
            raise NotDelivered("every recipient was refused", is_final=_is_final(error)) from None
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"{type(error).__name__} {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise NotDelivered(type(error).__name__) from None
        if refused:
            # The others have it: a second attempt would send it to them twice.
            raise NotDelivered(
                f"{len(refused)} of {len(self._recipients)} recipients were refused", is_final=True
            )

    def _connected(self) -> smtplib.SMTP:
        told = self._server
        server = _connect(told)
        try:
            server.ehlo()
            if not told.is_tls and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if told.user is not None:
                if not isinstance(server.sock, ssl.SSLSocket) and not _is_loopback(server):
                    raise NotDelivered(
                        "the server offers no TLS, so no password is sent to it", is_final=True
                    )
                server.login(told.user, told.password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Date"] = format_datetime(localtime())
        # Of two attempts that both arrived, mail programs show one.
        mail["Message-ID"] = f"<{message.key}@{self._sender.rpartition('@')[2].rstrip('>')}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text + "\n")
        return mail


def _connect(told: Server) -> smtplib.SMTP:
    if told.is_tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(told.host, told.port, timeout=TIMEOUT, context=context)
    return smtplib.SMTP(told.host, told.port, timeout=TIMEOUT)


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye. What goes wrong there changes nothing: the mail is taken, or it is not."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def _is_loopback(server: smtplib.SMTP) -> bool:
    return server.sock is not None and ip_address(server.sock.getpeername()[0]).is_loopback


def _is_final(error: smtplib.SMTPRecipientsRefused) -> bool:
    """Whether every answer was one of the 500s: grey lists answer with 450 first."""
    return all(code >= 500 for code, _ in error.recipients.values())
