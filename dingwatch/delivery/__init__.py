"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.blocking import list_blocking, needs_a_person
from dingwatch.delivery.drive_upload import DriveUploader, Operator
from dingwatch.delivery.execute import Executor
from dingwatch.delivery.jobs import (
    AskRoom,
    Begin,
    Commit,
    DeleteEntry,
    Done,
    DriveJob,
    FetchToken,
    Job,
    MembersLost,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Screen,
    Screening,
    Send,
    SendCaption,
    SendDone,
    ToPeople,
    Upkeep,
    Upload,
    UploadArchive,
)
from dingwatch.delivery.limits import Target
from dingwatch.delivery.loop import DeliveryLoop, Plan
from dingwatch.delivery.reading import Reader
from dingwatch.delivery.state import FolderPolicy, Settings
from dingwatch.ledger.uploads import UploadDone

__all__ = [
    "AskRoom",
    "Begin",
    "Commit",
    "DeleteEntry",
    "DeliveryLoop",
    "Done",
    "DriveJob",
    "DriveUploader",
    "Executor",
    "FetchToken",
    "FolderPolicy",
    "Job",
    "MembersLost",
    "Operator",
    "Outcome",
    "Plan",
    "ProbeStore",
    "Put",
    "PutDone",
    "Reader",
    "Screen",
    "Screening",
    "Send",
    "SendCaption",
    "SendDone",
    "Settings",
    "Target",
    "ToPeople",
    "Upkeep",
    "Upload",
    "UploadArchive",
    "UploadDone",
    "list_blocking",
    "needs_a_person",
]
