"""How a large file is cut into parts (KB:0676, KB:0677)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_PARTS: Final = 10_000
MOST_ADDRESSES: Final = 30
"""Part addresses that one query may ask for (KB:0677)."""
SMALLEST_PART: Final = 100 * 1024
"""Bytes; the last part may be smaller. KB:0677 says 100 KB; whether that is 10^3 or 2^10 is unverified."""
LARGEST_PART: Final = 5 * 10**9
"""Bytes; KB:0677 says 5 GB, and the same for a file in one piece (KB:1601). The smaller reading is kept."""
USUAL_PART: Final = 16 << 20
"""Bytes: two parts' addresses in each 32 MiB, so that 2 GiB take five queries; lost with a broken line."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number, from 1 on, and where it lies in the file, in bytes."""

    number: int
    offset: int
    size: int


def parts_of(size: int, part_size: int | None = None) -> tuple[Part, ...]:
    """Cut `size` bytes into parts of `part_size`, or of a size at which there are not too many.

    The cut is a function of its arguments alone: what a restart finds finished is still the same part.

    Raises:
        ValueError: for no bytes, a part size that is not allowed, or one that makes too many parts.
    """
    each = part_size or part_size_for(size)
    count = -(-size // each) if each > 0 else 0
    if not (1 <= count <= MOST_PARTS and SMALLEST_PART <= each <= LARGEST_PART):
        raise ValueError(f"{size} bytes in parts of {each}")
    return tuple(Part(number + 1, number * each, min(each, size - number * each)) for number in range(count))


def part_size_for(size: int) -> int:
    """Return the usual part size, or as many whole MiB as keep within the number of parts."""
    least = -(-size // MOST_PARTS)
    return max(USUAL_PART, -(-least // (1 << 20)) << 20)
