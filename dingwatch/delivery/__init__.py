"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.holds import Place
from dingwatch.delivery.jobs import Done, FetchToken, Job, Outcome, Send, SendDone, Upload, UploadDone
from dingwatch.delivery.loop import DeliveryLoop
from dingwatch.delivery.memory import Settings, place_of
from dingwatch.delivery.perform import Performer

__all__ = [
    "DeliveryLoop",
    "Done",
    "FetchToken",
    "Job",
    "Outcome",
    "Performer",
    "Place",
    "Send",
    "SendDone",
    "Settings",
    "Upload",
    "UploadDone",
    "place_of",
]
