"""Defaults as people write them: the program holds durations and paces as numbers."""

from __future__ import annotations

import json
from typing import Final

import yaml
from pydantic import BaseModel, ValidationError

from dingwatch.pace import Limit

_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
NO_DEFAULT: Final = "…"


def default_of(shape: type[BaseModel], key: str) -> str:
    """Return a key's default as YAML; `…` if it has none that could be written, as for recipients."""
    text = _as_yaml(shape.model_fields[key].get_default(call_default_factory=True))
    try:
        shape.model_validate({key: yaml.safe_load(text)})
    except ValidationError:
        return NO_DEFAULT
    return text


def _as_yaml(value: object) -> str:
    """Return a default as people write it: the program holds durations and paces as numbers."""
    if isinstance(value, BaseModel):
        return "{}"
    if isinstance(value, Limit):
        return f"{value.count}/{'s' if value.spaced else 'm'}"
    if isinstance(value, float):
        unit = next((unit for unit, seconds in _UNITS.items() if value % seconds == 0), None)
        return f"{value * 1000:g}ms" if unit is None else f"{value / _UNITS[unit]:g}{unit}"
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value)
