"""Telling people of budgets: a line of the log, a mail, a webhook. No request waits for any of it."""

from __future__ import annotations
