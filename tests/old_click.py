"""What click before 8.2 needs of the tests: its test runner, not its commands, does otherwise."""

from __future__ import annotations

from functools import partialmethod
from importlib.metadata import version

import pytest
from click.testing import CliRunner
from click.testing import Result

IS_OLD = tuple(map(int, version("click").split(".")[:2])) < (8, 2)

#: The old runner answers a question with an empty line where the input has ended.
sees_the_end_of_input = pytest.mark.skipif(IS_OLD, reason="click's test runner hides the end of the input")


def keep_streams_apart() -> None:
    """Let ``result.stderr`` be there and ``result.output`` hold both streams, as with click 8.2 and later."""
    if IS_OLD:
        CliRunner.__init__ = partialmethod(CliRunner.__init__, mix_stderr=False)
        Result.output = property(lambda self: self.stdout + self.stderr)
