"""Days and calendar months in a store's own time zone: what lasts "two months" ends with a day there, not with an hour."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def months_later(day: date, months: int) -> date:
    """The same day so many months later (before, if below zero); the last of the month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def last_day_over(today: date, months: int) -> date:
    """The last day from which so many months have passed when `today` begins."""
    yesterday = today - timedelta(days=1)
    day = months_later(yesterday, -months)
    if yesterday.day == monthrange(yesterday.year, yesterday.month)[1]:  # all that a shorter month cut off ends with it
        return day.replace(day=monthrange(day.year, day.month)[1])
    return day


def midnight(day: date, time_zone: str) -> datetime:
    """When this day begins there."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))


def day_of(moment: datetime, time_zone: str) -> date:
    """The day that it is there at this moment."""
    return moment.astimezone(ZoneInfo(time_zone)).date()
