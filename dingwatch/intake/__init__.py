"""From the folder to the ledger: hints, settling, digests, and what is new."""

from dingwatch.intake.candidates import PastCeiling, Settling
from dingwatch.intake.changes import FolderChanges, FoldersChanged
from dingwatch.intake.execute import Executor
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.jobs import Input, Job
from dingwatch.intake.loop import DownFolder, IntakeLoop

__all__ = [
    "DownFolder",
    "Executor",
    "FolderChanges",
    "FolderSettings",
    "FoldersChanged",
    "Input",
    "IntakeLoop",
    "Job",
    "PastCeiling",
    "Settling",
]
