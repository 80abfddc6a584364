"""The settings of production, with a destination that takes batches."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.apps.BenchConfig"]
