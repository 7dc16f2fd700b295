"""An app whose commands can be run."""

from __future__ import annotations

from tests.cli.apps import app as app
from tests.cli.apps import make_app as make_app
from tests.cli.apps import stored as stored
