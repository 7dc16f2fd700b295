"""What ``celery -A celery_worker.worker worker`` loads."""

from __future__ import annotations

from . import create_app
from . import tasks

celery_app = create_app().extensions["celery"]

__all__ = ["celery_app", "tasks"]
