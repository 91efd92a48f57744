"""dingwatch watches folders and sends each new file to a DingTalk conversation."""

from importlib.metadata import version

__version__ = version("dingwatch")
