"""Every sentence shown to people, in Chinese and English.

One class for each place where the sentences appear. A sentence says what happened, to which file,
and what to do next; `{placeholders}` are the same in both languages (a test compares them).
"""

from dingwatch.texts.advice import Advice
from dingwatch.texts.alerts import Alerts
from dingwatch.texts.back import Back
from dingwatch.texts.calls import Calls
from dingwatch.texts.checks import Checks
from dingwatch.texts.cli import Cli
from dingwatch.texts.click import Click
from dingwatch.texts.condition import Condition
from dingwatch.texts.diagnosis import Diagnosis, Purpose
from dingwatch.texts.feedback import Feedback
from dingwatch.texts.keys import Keys
from dingwatch.texts.language import Language, Text, choose_language, environment_language, locale_name
from dingwatch.texts.log import Log
from dingwatch.texts.manual import Manual
from dingwatch.texts.monitor import Monitor
from dingwatch.texts.needs import Needs
from dingwatch.texts.notices import Notices
from dingwatch.texts.problems import Problems
from dingwatch.texts.reload import Reload
from dingwatch.texts.setup import Setup
from dingwatch.texts.spans import Spans, describe_span
from dingwatch.texts.story import Story
from dingwatch.texts.system import System, system_words
from dingwatch.texts.upkeep import Upkeep
from dingwatch.texts.web import FolderPage, Happened, Page, Web
from dingwatch.texts.words import Words, describe_word

__all__ = [
    "Advice",
    "Alerts",
    "Back",
    "Calls",
    "Checks",
    "Cli",
    "Click",
    "Condition",
    "Diagnosis",
    "Feedback",
    "FolderPage",
    "Happened",
    "Keys",
    "Language",
    "Log",
    "Manual",
    "Monitor",
    "Needs",
    "Notices",
    "Page",
    "Problems",
    "Purpose",
    "Reload",
    "Setup",
    "Spans",
    "Story",
    "System",
    "Text",
    "Upkeep",
    "Web",
    "Words",
    "choose_language",
    "describe_span",
    "describe_word",
    "environment_language",
    "locale_name",
    "system_words",
]
