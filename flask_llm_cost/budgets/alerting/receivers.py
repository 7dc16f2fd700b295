"""The ready receivers of an app's budget signals: its log, and the channels that its configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flask import Flask

from ...config import Config
from ...counters import Counters
from ...counters import log
from ...ledger import LedgerSource
from ...ledger import shared_connection
from ...signals import budget_exceeded
from ...signals import budget_threshold_reached
from ..alerts import Alert
from .channel import Channel
from .channels import channels_of
from .delivery import AlertSender
from .message import Message
from .outbox import LedgerOutbox
from .outbox import MemoryOutbox
from .outbox import Outbox


class AlertReceivers:
    """Hears of an app's thresholds, and has people told. Whoever holds it keeps it connected.

    :param channels: those of the configuration where they are not given.
    """

    def __init__(
        self,
        app: Flask,
        config: Config,
        source: LedgerSource | None,
        counters: Counters,
        channels: Sequence[Channel] | None = None,
    ) -> None:
        self._config = config
        self._service = config.service or app.name
        found = channels_of(config) if channels is None else channels
        choose = partial(_outbox, source, self._service)
        self.sender = AlertSender(choose, found, counters) if found else None
        for signal in (budget_threshold_reached, budget_exceeded):
            signal.connect(self._hear, sender=app)

    def begin(self) -> None:
        """This process writes calls: it may as well send what others have left."""
        if self.sender is not None:
            self.sender.begin()

    def forked(self) -> None:
        """In a forked child: the parent's thread did not come along."""
        if self.sender is not None:
            self.sender.forked()

    def close(self, timeout: float) -> None:
        """Send what waits, for at most so many seconds. Other processes send the rest."""
        if self.sender is not None:
            self.sender.stop(timeout)

    def _hear(self, app: Flask, alert: Alert) -> None:
        message = _message(alert, self._service)
        if self._config.alert_log:
            log.warning("%s", message.text)
        if self.sender is not None:
            self.sender.announce(message)


def _outbox(source: LedgerSource | None, service: str) -> Outbox:
    if source is None or shared_connection(source.get().engine):
        return MemoryOutbox()
    return LedgerOutbox(source, service)


def _message(alert: Alert, service: str) -> Message:
    return Message(
        key=f"llm-cost-{alert.budget.definition}-{alert.reached_at:%Y%m%d%H%M%S%f}",
        service=service,
        budget=alert.budget.name,
        scope=alert.scope,
        threshold=alert.threshold,
        limit=alert.limit,
        spent=alert.spent,
        window_start=alert.window_start,
        window_end=alert.window_end,
        reached_at=alert.reached_at,
    )
