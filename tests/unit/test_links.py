"""Where paths really are."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dingwatch.config.links import real_paths

NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.lists(st.one_of(NAMES, st.sampled_from(["..", ".", ""])), min_size=1, max_size=4)
TARGETS = st.one_of(st.none(), st.tuples(st.booleans(), STEPS))
"""Of a name: a directory, or a link, from the top or from where it lies, to a path that may not be there."""

DEPTH = 20
"""Directories above: more than the `..` that a path and four links may still hold when they leave the top."""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory so deep; making it for each example is what would take time."""
    made = tmp_path_factory.mktemp("deep").joinpath(*["deep"] * DEPTH).resolve()
    made.mkdir(parents=True)
    return made


def lay(top: Path, targets: dict[tuple[str, ...], tuple[bool, list[str]] | None]) -> None:
    """Lay directories and links, the shallow ones first; what no longer fits is left out.

    A link leads to names after its own only: none goes in a circle. Nothing is laid behind a link.
    """
    for parts, target in sorted(targets.items(), key=lambda item: len(item[0])):
        place = top.joinpath(*parts)
        if not place.parent.is_dir() or place.parent.resolve() != place.parent or os.path.lexists(place):
            continue
        if target is None:
            place.mkdir()
        else:
            from_the_top, drawn = target
            steps = [step for step in drawn if step > place.name or not step.isalpha()]
            place.symlink_to(os.path.join(top if from_the_top else "", *steps) or ".")


@settings(max_examples=50)  # each makes directories and links
@given(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(tuple), TARGETS, max_size=8),
    st.lists(STEPS, min_size=1, max_size=5),
)
def test_links_lead_where_the_system_says(
    deep: Path, targets: dict[tuple[str, ...], tuple[bool, list[str]] | None], asked: list[list[str]]
) -> None:
    """Links, chains of links and what is not there are resolved as the standard library does it."""
    with tempfile.TemporaryDirectory(dir=deep) as made:
        top = Path(made)
        lay(top, targets)
        paths = [os.fsencode(os.path.join(top, *steps)) for steps in asked]
        assert real_paths(paths) == [os.path.realpath(path) for path in paths]


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    """Such a path stays as it is written; its folder is reported when it is opened."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    written = os.fsencode(tmp_path / "a" / "c")
    assert real_paths([written]) == [written]
