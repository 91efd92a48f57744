"""From the folder to the ledger: hints, settling, digests, and what is new."""

from dingwatch.intake.candidates import PastCeiling, Settling
from dingwatch.intake.execute import Executor
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.jobs import Input, Job
from dingwatch.intake.loop import IntakeLoop

__all__ = ["Executor", "FolderSettings", "Input", "IntakeLoop", "Job", "PastCeiling", "Settling"]
