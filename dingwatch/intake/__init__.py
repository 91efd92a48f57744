"""From the folder to the ledger: notices, settling, digests, and what is new."""

from dingwatch.intake.candidates import Restless, Settling
from dingwatch.intake.execute import Performer
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.instant import Instant
from dingwatch.intake.jobs import Input, Job
from dingwatch.intake.loop import IntakeLoop

__all__ = ["FolderSettings", "Input", "Instant", "IntakeLoop", "Job", "Performer", "Restless", "Settling"]
