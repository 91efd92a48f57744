"""Feedback in the folder: notes on files that were not sent, and moves of those that were."""

from dingwatch.feedback.execute import Executor
from dingwatch.feedback.jobs import Job, Outcome
from dingwatch.feedback.loop import FeedbackLoop
from dingwatch.feedback.settings import FolderFeedback, Settings

__all__ = ["Executor", "FeedbackLoop", "FolderFeedback", "Job", "Outcome", "Settings"]
