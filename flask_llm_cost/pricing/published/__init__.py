"""Price data as others publish it, read into price entries. Used by the build and by ``prices refresh``."""

from __future__ import annotations
