"""Everything a handler may need, in one frozen value: the stand-in's whole state."""

from collections.abc import Callable
from dataclasses import dataclass

from dingwatch.sandbox.chat import Chat
from dingwatch.sandbox.disk import Disk
from dingwatch.sandbox.drive import Drive
from dingwatch.sandbox.faults import FaultBook
from dingwatch.sandbox.limits import Flow
from dingwatch.sandbox.meter import Meter
from dingwatch.sandbox.objects import Objects
from dingwatch.sandbox.picks import Picks
from dingwatch.sandbox.settings import Settings
from dingwatch.sandbox.shelf import Shelf
from dingwatch.sandbox.signatures import Signer
from dingwatch.sandbox.stream import Stream
from dingwatch.sandbox.tokens import Tokens


@dataclass(frozen=True, slots=True)
class World:
    """The state, part by part; each part guards itself, so any thread may use it."""

    settings: Settings
    clock: Callable[[], float]
    faults: FaultBook
    tokens: Tokens
    meter: Meter
    flow: Flow
    picks: Picks
    stream: Stream
    disk: Disk
    shelf: Shelf
    objects: Objects
    signer: Signer
    drive: Drive
    chat: Chat

    @classmethod
    def create(cls, settings: Settings, clock: Callable[[], float]) -> "World":
        """An empty world under these settings."""
        disk = Disk()
        return cls(
            settings=settings,
            clock=clock,
            faults=FaultBook(),
            tokens=Tokens(settings.token_seconds, strict=settings.strict_tokens),
            meter=Meter(settings.limits),
            flow=Flow(settings.limits),
            picks=Picks(),
            stream=Stream(settings.client_id),
            disk=disk,
            shelf=Shelf(disk),
            objects=Objects(disk),
            signer=Signer(settings.address_seconds),
            drive=Drive(settings.org_quota),
            chat=Chat(settings.conversations),
        )

    @property
    def robot_code(self) -> str:
        """The robot's code: the Client ID unless the settings say otherwise."""
        return self.settings.robot_code or self.settings.client_id

    def limit(self, **changes: object) -> None:
        """Changes limits.

        Raises:
            ValueError: for a name that is none, or a value that is no number.
        """
        self.meter.limits = self.flow.limits = self.meter.limits.changed(**changes)

    def reset(self) -> None:
        """Back to the state right after the start, settings kept."""
        self.faults.clear()
        self.tokens.kill()
        self.meter.reset()
        self.flow.reset()
        self.picks.reset()
        self.stream.reset()
        self.chat.reset()
        self.drive.reset()
        self.objects.reset()
        self.shelf.reset()
        self.disk.reset()
