"""From the ledger to the conversation: claims, uploads, sends, and what their outcomes mean."""

from dingwatch.delivery.jobs import Done, FetchToken, Job, Outcome, Send, SendDone, Upload, UploadDone
from dingwatch.delivery.loop import DeliveryLoop, api_of
from dingwatch.delivery.memory import Settings
from dingwatch.delivery.perform import Performer

__all__ = [
    "DeliveryLoop",
    "Done",
    "FetchToken",
    "Job",
    "Outcome",
    "Performer",
    "Send",
    "SendDone",
    "Settings",
    "Upload",
    "UploadDone",
    "api_of",
]
