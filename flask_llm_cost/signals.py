"""blinker signals. What a receiver raises is logged only.

Receivers of ``call_recorded`` run in the thread that recorded the call; those about budgets run where calls
are written to the ledger, which no request waits for.

Blinker keeps weak references: keep your receiver alive (a module-level function is).
"""

from __future__ import annotations

from blinker import Namespace

_namespace = Namespace()

#: Sent as ``call_recorded.send(app, event=event)`` once an :class:`~flask_llm_cost.events.Event` is accepted,
#: before its row can be queried.
call_recorded = _namespace.signal("llm-cost-call-recorded")

#: Sent as ``budget_threshold_reached.send(app, alert=alert)`` with a :class:`~flask_llm_cost.budgets.Alert`,
#: once per budget, value, window and threshold, whichever process found out.
budget_threshold_reached = _namespace.signal("llm-cost-budget-threshold-reached")

#: Sent likewise when the limit itself is reached, and at each threshold above it.
budget_exceeded = _namespace.signal("llm-cost-budget-exceeded")
