"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.holds import Place
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
from dingwatch.delivery.loop import DeliveryLoop
from dingwatch.delivery.memory import Settings, place_of
from dingwatch.delivery.perform import Performer
from dingwatch.delivery.reading import Reader
from dingwatch.delivery.sending import Sender
from dingwatch.delivery.storing import Operator, Storer

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
