"""Finished events on local disk, from the moment a call returns until its row is committed.

Standard library only. What is appended here survives the death of the process; who writes it to the ledger,
and when, is the ingest's business.
"""

from __future__ import annotations

from .directory import Journal
from .directory import JournalFull
from .directory import probe
from .frames import frame
from .records import BadRecord
from .records import NewerRecord
from .records import decode
from .records import encode
from .records import encode_sighting
from .segment import DAMAGED_SUFFIX
from .segment import Segment
from .segment import Slice
from .survey import Survey
from .survey import survey
from .survey import workable

__all__ = [
    "BadRecord",
    "DAMAGED_SUFFIX",
    "Journal",
    "JournalFull",
    "NewerRecord",
    "Segment",
    "Slice",
    "Survey",
    "decode",
    "encode",
    "encode_sighting",
    "frame",
    "probe",
    "survey",
    "workable",
]
