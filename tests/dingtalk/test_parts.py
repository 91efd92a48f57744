"""How a large file is cut."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dingwatch.dingtalk import LARGEST_PART, MOST_PARTS, SMALLEST_PART, part_size_for, parts_of

MIB = 1 << 20


@given(st.integers(1, 40 << 40))
@example(1)
@example(16 * MIB)
@example(16 * MIB + 1)
@example(16 * MIB * MOST_PARTS)
@example(16 * MIB * MOST_PARTS + 1)
def test_every_size_is_cut_within_what_is_allowed(size: int) -> None:
    """Numbers from 1 on, no gap and no overlap, not too many, and none too large."""
    parts = parts_of(size)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) <= MOST_PARTS
    assert sum(part.size for part in parts) == size
    assert all(one.offset + one.size == after.offset for one, after in pairwise(parts))
    assert {part.size for part in parts[:-1]} <= {part_size_for(size)}
    assert SMALLEST_PART <= part_size_for(size) <= LARGEST_PART


def test_two_gib_take_five_queries_for_addresses() -> None:
    """128 parts of 16 MiB, thirty addresses at a time."""
    assert len(parts_of(2 << 30)) == 128


@pytest.mark.parametrize(
    ("size", "part_size"),
    [(0, None), (0, 16 * MIB), (1, SMALLEST_PART - 1), (1, LARGEST_PART + 1), (10001 * MIB, MIB), (1, -1)],
)
def test_no_cut_that_would_be_refused_is_made(size: int, part_size: int | None) -> None:
    """A mistake is found before it costs a call."""
    with pytest.raises(ValueError, match="in parts of"):
        parts_of(size, part_size)
