"""Every sentence shown to people, in Chinese and English.

One class for each place where the sentences appear. A sentence says what happened, to which file,
and what to do next; `{placeholders}` are the same in both languages (a test compares them).
"""

from dingwatch.texts.advice import Advice
from dingwatch.texts.back import Back
from dingwatch.texts.calls import Calls
from dingwatch.texts.checks import Checks
from dingwatch.texts.cli import Cli
from dingwatch.texts.click import Click
from dingwatch.texts.diagnosis import Diagnosis, Purpose
from dingwatch.texts.keys import Keys
from dingwatch.texts.language import Language, Text, choose_language, environment_language, locale_name
from dingwatch.texts.log import Log
from dingwatch.texts.notices import Notices
from dingwatch.texts.problems import Problems
from dingwatch.texts.setup import Setup
from dingwatch.texts.system import System, system_words
from dingwatch.texts.words import Words, describe_word

__all__ = [
    "Advice",
    "Back",
    "Calls",
    "Checks",
    "Cli",
    "Click",
    "Diagnosis",
    "Keys",
    "Language",
    "Log",
    "Notices",
    "Problems",
    "Purpose",
    "Setup",
    "System",
    "Text",
    "Words",
    "choose_language",
    "describe_word",
    "environment_language",
    "locale_name",
    "system_words",
]
