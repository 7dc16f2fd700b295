"""blinker signals. Receivers run in the thread that recorded the call; what they raise is logged only.

Blinker keeps weak references: keep your receiver alive (a module-level function is).
"""

from __future__ import annotations

from blinker import Namespace

_namespace = Namespace()

#: Sent as ``call_recorded.send(app, event=event)`` once an :class:`~flask_llm_cost.events.Event` is accepted,
#: before its row can be queried.
call_recorded = _namespace.signal("llm-cost-call-recorded")
