"""What budgets have to say before a call is sent. The taps ask where a call has such a thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from ..errors import LLMCostError
from ..providers import RequestFacts
from .mute import ours
from .off_loop import off_loop

if TYPE_CHECKING:
    from ..budgets.keeper import BudgetKeeper
    from ..budgets.matching import Claim
    from .call import CapturedCall

#: Routes whose requests are billed when they are sent.
_BILLED = ("usage", "no_usage")


class Admission:
    """One call's, to be asked once and right before it is sent. It holds the request until then."""

    def __init__(
        self,
        call: CapturedCall,
        keeper: BudgetKeeper,
        claims: list[Claim],
        facts: RequestFacts,
        body: Mapping[str, Any] | None,
        has_files: bool,
    ) -> None:
        self._call = call
        self._keeper = keeper
        self._claims = claims
        self._facts = facts
        self._body = body
        self._has_files = has_files

    def ask(self) -> None:
        """Let the call be sent. May wait for the database.

        :raises BudgetExceededError: a limit forbids it; the call's row says so, and nothing is to be sent.
        :raises BudgetUnavailableError: likewise, where a budget cannot be checked.
        """
        call = self._call
        call.admission = None
        try:
            with ours(call.runtime.counters, "A budget could not be asked"):
                request = self._keeper.request_of(call.opened, self._facts, self._body, self._has_files)
                call.holds(self._keeper.admit(self._claims, request, call.opened.event_id))
        except LLMCostError as refusal:
            call.finish_blocked(refusal)
            raise

    async def ask_off_loop(self) -> None:
        """As :meth:`ask`, while the event loop goes on."""
        await off_loop(self.ask)


def admission_of(
    call: CapturedCall,
    keeper: BudgetKeeper,
    facts: RequestFacts,
    body: Mapping[str, Any] | None,
    has_files: bool,
) -> Admission | None:
    """What is to be asked before the call is sent; ``None`` where no budget has a say in it."""
    if call.route.billing not in _BILLED:
        return None
    with ours(call.runtime.counters, "A call's budgets could not be found", silent=True):
        if claims := keeper.claims_before(call.opened):
            return Admission(call, keeper, claims, facts, body, has_files)
    return None
