"""What a life is like: drawn once from its seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.model import BundleRule
from dingwatch.pace import Limit


@dataclass(frozen=True)
class Shape:
    """What a life is like. `strict`: nothing is lost untold, and no scan comes by itself to mend it."""

    seed: int
    strict: bool
    rate: float
    workers: int
    resend: bool
    poll: bool
    existing: str
    on_change: str
    unsupported: str
    refused: frozenset[str]
    per_api: Limit | None
    per_conversation: Limit | None
    mapping: tuple[tuple[str, ...], ...]
    settle: float
    hold_over: int | None
    poked: float
    """How often it is tried whether a tick left work behind."""
    lines: bool
    """Whether a line goes before each file."""
    bundle: BundleRule | None

    @classmethod
    def drawn(cls, seed: int, rng: Random) -> Shape:
        """Draw a shape."""
        strict = rng.random() < 0.6
        chats = ["cidA", "cidB", "cidC"][: rng.choice((1, 2, 2, 3))]
        folders = rng.choice((1, 1, 2))
        return cls(
            seed=seed,
            strict=strict,
            rate=rng.choice((0.0, 0.1, 0.3, 0.5)),
            workers=rng.choice((1, 2, 4)),
            resend=rng.random() < 0.75,
            poll=not strict and rng.random() < 0.2,
            existing=rng.choice(("skip", "skip", "send")),
            on_change=rng.choice(("send", "send", "send", "ignore")),
            unsupported=rng.choice(("zip", "zip", "skip")),
            refused=REFUSED_EXTENSIONS | rng.choice((frozenset(), frozenset({"xyz"}))),
            per_api=rng.choice((None, None, Limit(20, 1.0, spaced=True))),
            per_conversation=rng.choice((None, None, Limit(3, 60.0, spaced=False))),
            mapping=tuple(tuple(rng.sample(chats, rng.randint(1, len(chats)))) for _ in range(folders)),
            settle=rng.choice((1.0, 2.0)),
            hold_over=rng.choice((None, None, 3)),
            poked=rng.choice((0.0, 0.3)),
            lines=rng.random() < 0.3,
            bundle=rng.choice((None, None, BundleRule(5.0, 2), BundleRule(60.0, 3))),
        )
