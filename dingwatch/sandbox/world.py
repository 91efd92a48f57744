"""Everything a handler may need, in one frozen value: the stand-in's whole state."""

from collections.abc import Callable
from dataclasses import dataclass

from dingwatch.sandbox.chat import Chat
from dingwatch.sandbox.faults import FaultBook
from dingwatch.sandbox.meter import Meter
from dingwatch.sandbox.settings import Settings
from dingwatch.sandbox.shelf import Shelf
from dingwatch.sandbox.tokens import Tokens


@dataclass(frozen=True, slots=True)
class World:
    """The state, part by part; each part guards itself, so any thread may use it."""

    settings: Settings
    clock: Callable[[], float]
    faults: FaultBook
    tokens: Tokens
    meter: Meter
    shelf: Shelf
    chat: Chat

    @classmethod
    def create(cls, settings: Settings, clock: Callable[[], float]) -> "World":
        """An empty world under these settings."""
        return cls(
            settings=settings,
            clock=clock,
            faults=FaultBook(),
            tokens=Tokens(settings.token_seconds, strict=settings.strict_tokens),
            meter=Meter(settings.qps, settings.monthly_calls),
            shelf=Shelf(),
            chat=Chat(settings.conversations),
        )

    @property
    def robot_code(self) -> str:
        """The robot's code: the Client ID unless the settings say otherwise."""
        return self.settings.robot_code or self.settings.client_id

    def reset(self) -> None:
        """Back to the state right after the start, settings kept."""
        self.faults.clear()
        self.tokens.kill()
        self.meter.reset()
        self.chat.reset()
        self.shelf.reset()
