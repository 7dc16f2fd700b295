"""Wire formats stop here: a route table and, per protocol, ``bytes -> Observation``. Values only.

No Flask, no SQL, no SDK and no price is known here, and nothing here raises on what a provider sent: an
answer that cannot be read has ``usage=None`` and says why in ``problems``.

Other packages describe further providers by the entry point group ``flask_llm_cost.providers``: a
:class:`Provider`, whose answers are read by heirs of :class:`AnswerReader`.
"""

from __future__ import annotations

from .answer_reader import AnswerReader
from .answer_reader import Reading
from .batch_results import ResultsReader
from .batch_results import results_reader
from .counted import Counted
from .fields import InvalidUsage
from .fields import count
from .fields import mapping
from .modes import DATA_RESIDENCY
from .modes import is_size
from .modes import join_modes
from .modes import normalise_mode
from .pieces import without_billed
from .provider import Billing
from .provider import Endpoint
from .provider import Provider
from .reading import Answer
from .reading import StreamReader
from .reading import is_event_stream
from .reading import read_body
from .reading import recalled
from .reading import take_body
from .registry import is_nobodys
from .registry import plugins
from .registry import provider_of_host
from .requested import FORM_FIELDS
from .requested import MODE_FIELDS
from .requested import RequestFacts
from .requested import completed
from .requested import read_request
from .requested import says_more_than_modes
from .routes import UNKNOWN_PROVIDER
from .routes import Route
from .routes import find_route
from .routes import only_reads
from .sighting import Sighting

__all__ = [
    # for descriptions of further providers
    "AnswerReader",
    "Counted",
    "Endpoint",
    "InvalidUsage",
    "Provider",
    "Reading",
    "count",
    "mapping",
    # for capture
    "UNKNOWN_PROVIDER",
    "Answer",
    "Billing",
    "FORM_FIELDS",
    "MODE_FIELDS",
    "RequestFacts",
    "ResultsReader",
    "Route",
    "Sighting",
    "StreamReader",
    "completed",
    "find_route",
    "is_event_stream",
    "is_nobodys",
    "is_size",
    "DATA_RESIDENCY",
    "join_modes",
    "normalise_mode",
    "only_reads",
    "plugins",
    "provider_of_host",
    "read_body",
    "read_request",
    "recalled",
    "take_body",
    "without_billed",
    "results_reader",
    "says_more_than_modes",
]
