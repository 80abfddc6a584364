#!/usr/bin/env python
"""Runs Django's and the project's commands: `python manage.py help` lists them."""

import io
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A pipe or a journal sees each line when it is written, not when a buffer is full.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A missing setting is the operator's to mend: one sentence, no traceback.
        sys.exit(f"The settings are not complete: {error}")


if __name__ == "__main__":
    main()
