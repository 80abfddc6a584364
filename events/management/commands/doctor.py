"""`manage.py doctor`: is anything stuck or misconfigured? Exit code 0 when all is well, 1 otherwise."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error

from events import doctor, health


class Command(BaseCommand):
    help = (
        "Says what is stuck, impossible or misconfigured, each in a sentence with its cure; exit code 1 if anything is."
    )

    def handle(self, **options: Any) -> None:
        problems = doctor.problems()
        with contextlib.suppress(Error):  # of which the problems tell
            for line in figures(health.look()):
                self.stdout.write(line)
        for problem in problems:
            self.stdout.write(self.style.WARNING(f"- {problem}"))
        if problems:
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS("All is well."))


def figures(found: health.Health) -> Iterator[str]:
    """What the health page tells, in lines."""
    age = found.oldest_due_seconds()
    waits = "" if age is None else f" (the oldest for {age:.0f} s)"
    yield (
        f"Clusters alive: {found.clusters}. Due: {found.due}{waits}. In flight: {found.in_flight}. Held: {found.held}."
    )
    for one in found.integrations:
        if one.last_24_hours.tries:
            lately, day = _success(one.last_5_minutes), _success(one.last_24_hours)
            yield f"{one.integration.store}, {one.integration}: {lately} in 5 minutes, {day} in 24 hours."


def _success(success: health.Success) -> str:
    if not success.tries:
        return "no tries"
    return f"{success.tries - success.failed_tries} of {success.tries} tries accepted ({success.percent} %)"
