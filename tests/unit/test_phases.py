from enum import StrEnum
from itertools import product

import pytest

from dingwatch.intake import phases
from dingwatch.intake.phases import (
    AWAITING_LOOK,
    LOOK_OUT,
    PATHS,
    WATCHES,
    Coverage,
    CoverageEvent,
    PathEvent,
    PathPhase,
    WatchEvent,
    WatchPhase,
    advance,
    diagram,
)
from dingwatch.lifecycle import IllegalTransitionError

# The tables written a second time on purpose: a change to either must be meant.
DESIGN = {
    "PATHS": """
idle        hint:settling miss:absent
settling    hint:settling miss:settling look:looking leave:idle
looking   hint:looking miss:looking unsettle:settling leave:idle settle:settled vanish:absent suspend:settling
settled     hint:settling miss:settling unsettle:settling read:reading finish:idle leave:idle
reading     hint:reading miss:reading unsettle:settling finish:idle leave:idle
absent      hint:settling miss:absent look:confirming leave:idle
confirming  hint:looking miss:confirming unsettle:settling vanish:gone suspend:absent finish:idle leave:idle
gone        hint:settling miss:gone finish:idle leave:idle
""",
    "WATCHES": """
down        watch:up watch_new:first_look fail:down arm:arming answer:down
arming      watch:up watch_new:first_look fail:down answer:arming hang:hung
first_look  watch:up watch_new:first_look fail:down baseline:up answer:first_look hang:hung rearm:down
up          watch:up watch_new:first_look fail:down answer:up hang:hung rearm:down
hung        watch:up watch_new:first_look fail:down answer:down
""",
    "COVERAGE": """
whole       complete:whole gaps:rearmed refuse:polled
rearmed     complete:whole gaps:polled refuse:polled
polled      try:trial refuse:polled
trial       complete:whole gaps:polled refuse:polled
""",
}
EVENTS: dict[str, type[StrEnum]] = {"PATHS": PathEvent, "WATCHES": WatchEvent, "COVERAGE": CoverageEvent}
PHASES: dict[str, type[StrEnum]] = {"PATHS": PathPhase, "WATCHES": WatchPhase, "COVERAGE": Coverage}


def edges(name: str) -> dict[tuple[str, str], str]:
    """Return a table of the design as (phase, event): successor."""
    words = (line.split() for line in DESIGN[name].strip().splitlines())
    return {(row[0], one.split(":")[0]): one.split(":")[1] for row in words for one in row[1:]}


def edges_between(name: str) -> set[tuple[str, str]]:
    """Return which phase leads to which."""
    return {(before, after) for (before, _), after in edges(name).items()}


@pytest.mark.parametrize("name", DESIGN)
def test_every_event_in_every_phase_has_its_result_or_is_refused(name: str) -> None:
    """What the design names follows; everything else raises."""
    table, wanted = getattr(phases, name), edges(name)
    for before, event in product(PHASES[name], EVENTS[name]):
        after = wanted.pop((before, event), None)
        if after is None:
            with pytest.raises(IllegalTransitionError):
                advance(table, before, event)
        else:
            assert advance(table, before, event) == after, (before, event)
    assert not wanted


@pytest.mark.parametrize("name", DESIGN)
def test_every_phase_is_reached_and_left(name: str) -> None:
    """No phase is a trap, none stands there for nothing, and every event leads somewhere."""
    table, ways = getattr(phases, name), [pair for pair in edges_between(name) if pair[0] != pair[1]]
    assert set(table) == set(PHASES[name])
    assert {before for before, _ in ways} == {after for _, after in ways} == set(table)
    assert {event for row in table.values() for event in row} == set(EVENTS[name])


def test_a_hint_is_never_refused() -> None:
    """Events come when they come, whatever is being done with the path."""
    assert all(PathEvent.HINT in row and PathEvent.MISS in row for row in PATHS.values())


def test_a_folder_may_fail_at_any_time() -> None:
    """What was out when a folder went down still comes back, and ends nothing."""
    always = {WatchEvent.FAIL, WatchEvent.WATCH, WatchEvent.WATCH_NEW}
    assert all(always <= row.keys() for row in WATCHES.values())


def test_a_path_waits_for_a_look_or_has_one_out() -> None:
    """These phases follow from the table."""
    assert {PathPhase.SETTLING, PathPhase.ABSENT} == AWAITING_LOOK
    assert {PathPhase.LOOKING, PathPhase.CONFIRMING} == LOOK_OUT


def test_the_diagrams_draw_every_edge() -> None:
    """Each edge that leads elsewhere stands in the Mermaid diagram."""
    for name in DESIGN:
        drawn = diagram(getattr(phases, name)).splitlines()
        for (before, event), after in edges(name).items():
            found = any(f"{before} --> {after}:" in line and event in line for line in drawn)
            assert found == (before != after), (name, before, event)
