"""Quantities as people write them: durations `30d`, shares `10%`, points `0.5pp`, rates `1/month`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PERIODS = {"hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0, "month": 30 * 86400.0, "year": 365 * 86400.0}


def parse_duration(value: object) -> object:
    """Text such as `90s`, `5m`, `24h`, `30d`, `2w` to a timedelta; anything else passes through to the type check.

    >>> parse_duration("24h")
    datetime.timedelta(days=1)
    """
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write a number and a unit: 90s, 5m, 24h, 30d or 2w")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def format_duration(value: timedelta) -> str:
    """The shortest exact form.

    >>> format_duration(timedelta(hours=36)), format_duration(timedelta(days=2))
    ('36h', '2d')
    """
    seconds = value.total_seconds()
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


def parse_milliseconds(value: object) -> object:
    """Text such as `5ms` or `0.25s` to seconds; a number passes as seconds.

    >>> parse_milliseconds("5ms")
    0.005
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", value)
        if match is None:
            raise ValueError(f"{value!r} is not a time of this length; write 5ms or 0.25s")
        return float(match[1]) / (1000 if match[2] == "ms" else 1)
    return value


def parse_share(value: object) -> object:
    """`10%` or 0.1 to 0.1.

    >>> parse_share("10%"), parse_share(0.1)
    (0.1, 0.1)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", value)
        if match is None:
            raise ValueError(f"{value!r} is not a share; write 10% or 0.1")
        return float(match[1]) / (100 if match[2] else 1)
    return value


def parse_points(value: object) -> object:
    """Percentage points: `0.5pp` to 0.005; a bare number is taken as it is.

    >>> parse_points("0.5pp")
    0.005
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*pp\s*", value)
        if match is None:
            raise ValueError(f"{value!r} is not a number of percentage points; write 0.5pp")
        return float(match[1]) / 100
    return value


def parse_rate(value: object) -> object:
    """`1/month` to events a second (a month has 30 days).

    >>> parse_rate("2/day") == 2 / 86400
    True
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*(hour|day|week|month|year)\s*", value)
        if match is None:
            raise ValueError(f"{value!r} is not a rate; write 1/month (hour, day, week, month, year)")
        return float(match[1]) / _PERIODS[match[2]]
    return value


def format_rate(value: float) -> str:
    """The rate per month, as people read alarm budgets.

    >>> format_rate(1 / (30 * 86400))
    '1/month'
    """
    return f"{value * _PERIODS['month']:g}/month"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
]
Milliseconds = Annotated[
    float,
    BeforeValidator(parse_milliseconds, json_schema_input_type=str | float),
    PlainSerializer(lambda seconds: f"{1000 * seconds:g}ms", return_type=str),
    Field(ge=0),
]
Share = Annotated[float, BeforeValidator(parse_share, json_schema_input_type=str | float), Field(ge=0, le=1)]
Points = Annotated[float, BeforeValidator(parse_points, json_schema_input_type=str | float), Field(ge=0, le=1)]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate, json_schema_input_type=str),
    PlainSerializer(format_rate, return_type=str),
    Field(gt=0),
]
