"""Times of day as cron writes them, in a time zone: which moments an expression means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice, pairwise, takewhile
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

_ANY = datetime(2026, 1, 1, tzinfo=UTC)
_FIELDS = 5  # a sixth would be seconds


def parse_cron(text: str) -> str:
    """The expression as it is. ValueError for what is none, or means no moment at all.

    >>> parse_cron("0 3 * * MON")
    '0 3 * * MON'
    """
    try:
        if len(text.split()) != _FIELDS:
            raise CronSimError("wrong number of fields")
        next(CronSim(text, _ANY))
    except (CronSimError, StopIteration) as error:
        why = f"{error}".lower() or "no such day"
        raise ValueError(
            f"{text!r} is not a time as cron writes it ({why}); write minute, hour, day, month and weekday, such as "
            '"*/15 * * * *" or "0 3 * * MON"'
        ) from None
    return text


def parse_zone(name: str) -> str:
    """The name of a time zone. ValueError for any other."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write a name such as Europe/Berlin or UTC") from None
    return name


def slots(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The moments after a time, in UTC, without an end. Where clocks are put forward or back, as Debian's cron does it:
    what falls into the missing hour comes right after it, and nothing at a fixed hour comes twice.

    >>> [f"{one:%a %H:%M}" for one in islice(slots("0 3 * * MON", "Europe/Berlin", _ANY), 2)]
    ['Mon 02:00', 'Mon 02:00']
    """
    return (one.astimezone(UTC) for one in CronSim(cron, after.astimezone(ZoneInfo(zone))))


def passed(cron: str, zone: str, after: datetime, until: datetime, most: int) -> list[datetime]:
    """The moments with after < moment <= until, oldest first: the newest `most` of them."""
    # One second on, for it looks for moments before the one that it is given.
    back = CronSim(cron, (until + timedelta(seconds=1)).astimezone(ZoneInfo(zone)), reverse=True)
    newest = dropwhile(lambda one: one > until, (one.astimezone(UTC) for one in back))
    return list(islice(takewhile(lambda one: one > after, newest), most))[::-1]


def pauses(cron: str, zone: str) -> list[timedelta]:
    """The times between two of the first 200 moments of 2026.

    >>> max(pauses("0 9 * * MON-FRI", "UTC"))
    datetime.timedelta(days=3)
    """
    return [after - before for before, after in pairwise(islice(slots(cron, zone, _ANY), 200))]


def in_words(cron: str) -> str:
    """What the expression says, in English.

    >>> in_words("0 3 * * MON")
    'At 03:00 on Monday'
    """
    return str(CronSim(cron, _ANY).explain())


Cron = Annotated[str, AfterValidator(parse_cron)]
Zone = Annotated[str, AfterValidator(parse_zone)]
