"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.blocking import list_blocking, needs_a_person
from dingwatch.delivery.drive_upload import DriveUploader, Operator
from dingwatch.delivery.execute import Executor
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    Done,
    DriveJob,
    FetchToken,
    Job,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Send,
    SendCaption,
    SendDone,
    Upload,
)
from dingwatch.delivery.limits import Target
from dingwatch.delivery.loop import DeliveryLoop
from dingwatch.delivery.reading import Reader
from dingwatch.delivery.state import FolderPolicy, Settings
from dingwatch.ledger.uploads import UploadDone

__all__ = [
    "Begin",
    "Commit",
    "DeliveryLoop",
    "Done",
    "DriveJob",
    "DriveUploader",
    "Executor",
    "FetchToken",
    "FolderPolicy",
    "Job",
    "Operator",
    "Outcome",
    "ProbeStore",
    "Put",
    "PutDone",
    "Reader",
    "Send",
    "SendCaption",
    "SendDone",
    "Settings",
    "Target",
    "Upload",
    "UploadDone",
    "list_blocking",
    "needs_a_person",
]
