"""One daemon thread per process that sends alerts, off every request's path."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence
from functools import cached_property

from ...counters import Counters
from ...counters import log_failure
from ...ingest.writer import LONGEST_BACKOFF
from ...ingest.writer import Writer
from .channel import Channel
from .channel import NotDelivered
from .message import Message
from .outbox import Delivery
from .outbox import MemoryOutbox
from .outbox import Outbox
from .outbox import backoff

#: Seconds between two looks for alerts that another process has left behind.
IDLE_SECONDS = 30.0
#: Alerts of one channel in one round; the rest waits for the next one.
_AT_ONCE = 100


class AlertSender:
    """Sends what waits in an outbox over every channel.

    The thread begins with the first alert of the process, or when it first writes calls, and again after a
    fork. A channel that fails does not hold up the others.

    :param choose_outbox: says where alerts wait.
    """

    def __init__(
        self, choose_outbox: Callable[[], Outbox], channels: Sequence[Channel], counters: Counters
    ) -> None:
        self._choose_outbox = choose_outbox
        self._channels = channels
        self._counters = counters
        self._unsaid: list[Delivery] = []
        self._tried_again_by = 0.0
        self._thread = self._new_thread()

    def announce(self, message: Message) -> None:
        """A threshold was reached. Does not wait."""
        if isinstance(self._outbox, MemoryOutbox):
            self._outbox.put(message, [channel.name for channel in self._channels])
        self._thread.wake()

    def begin(self) -> None:
        """Look for what other processes have left behind, now and every half minute. Does not wait."""
        if not self._thread.is_begun:
            self._thread.wake()

    def stop(self, timeout: float) -> bool:
        """Send what waits, for at most so many seconds; whether nobody sends any more."""
        return not self._thread.is_begun or self._thread.stop(timeout)

    def forked(self) -> None:
        """In a forked child: what waits in memory, and the thread, are the parent's."""
        self._unsaid.clear()
        if isinstance(self._outbox, MemoryOutbox):
            self._outbox.forked()
        self._thread = self._new_thread()

    def send_waiting(self) -> bool:
        """One round; whether the next one can wait. Never raises."""
        try:
            self._say_what_was_sent()
            went_well = all([self._over(channel) for channel in self._channels])
            return went_well and time.monotonic() >= self._tried_again_by
        except Exception as error:
            log_failure(self._counters, "alert_errors", "Alerts could not be looked for", error)
            return False

    @cached_property
    def _outbox(self) -> Outbox:
        """Chosen when it is first needed: before that the app's database may not be set up."""
        return self._choose_outbox()

    def _new_thread(self) -> Writer:
        return Writer(self.send_waiting, name="llm-cost-alerts", idle=IDLE_SECONDS)

    def _over(self, channel: Channel) -> bool:
        for _ in range(_AT_ONCE):
            delivery = self._outbox.claim(channel.name)
            if delivery is None:
                return True
            if not self._send(channel, delivery):
                return False
        return True

    def _send(self, channel: Channel, delivery: Delivery) -> bool:
        try:
            channel.send(delivery.message)
        except NotDelivered as error:
            self._failed(delivery, error.reason, error, is_final=error.is_final)
            return False
        except Exception as error:
            self._failed(delivery, type(error).__name__, error, is_final=False)
            return False
        self._counters.add("alerts_sent")
        self._unsaid.append(delivery)
        self._say_what_was_sent()
        return True

    def _failed(self, delivery: Delivery, reason: str, error: Exception, *, is_final: bool) -> None:
        end = "given up" if is_final else "it is tried again"
        what = f"An alert could not be delivered by {delivery.channel}: {reason}; {end}"
        log_failure(self._counters, "alert_errors", what, error)
        self._outbox.failed(delivery, reason, is_final=is_final)
        if not is_final:
            seconds = backoff(delivery.attempt) / 1000
            self._tried_again_by = max(self._tried_again_by, time.monotonic() + seconds + LONGEST_BACKOFF)

    def _say_what_was_sent(self) -> None:
        """What the database was not told yet must not be sent again by us, however long it is away."""
        while self._unsaid:
            self._outbox.delivered(self._unsaid[0])
            del self._unsaid[0]
