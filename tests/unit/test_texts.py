"""Sentences for people: each error says what to do next."""

from __future__ import annotations

import re
from typing import Final

from dingwatch.texts import Advice

STEP: Final = re.compile("请|自动|dingwatch|[会再后]发送|发布|应为|设为")
"""What a next step has in it: a request, a command, or that nobody needs to do anything."""
NOTHING_TO_DO: Final = {Advice.NOTICED, Advice.SUPERSEDED, Advice.TOO_DEEP}
"""The file went another way as configured, gave way to a newer one, or its folder is polled."""


def test_every_advice_names_a_step() -> None:
    """What is wrong is told beside it; an advice that repeats only that leaves the reader alone."""
    without = {one for one in Advice if not STEP.search(one.zh)} - NOTHING_TO_DO
    assert without == set(), [(one.name, one.zh) for one in without]
