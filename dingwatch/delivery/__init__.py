"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.drive_upload import Operator, Storer
from dingwatch.delivery.execute import Performer
from dingwatch.delivery.jobs import (
    Announce,
    Begin,
    Commit,
    Done,
    DriveJob,
    FetchToken,
    Job,
    Outcome,
    Put,
    PutDone,
    Send,
    SendDone,
    Upload,
    UploadDone,
)
from dingwatch.delivery.limits import Place
from dingwatch.delivery.loop import DeliveryLoop
from dingwatch.delivery.reading import Reader
from dingwatch.delivery.senders import Sender
from dingwatch.delivery.state import Settings, place_of

__all__ = [
    "Announce",
    "Begin",
    "Commit",
    "DeliveryLoop",
    "Done",
    "DriveJob",
    "FetchToken",
    "Job",
    "Operator",
    "Outcome",
    "Performer",
    "Place",
    "Put",
    "PutDone",
    "Reader",
    "Send",
    "SendDone",
    "Sender",
    "Settings",
    "Storer",
    "Upload",
    "UploadDone",
    "place_of",
]
