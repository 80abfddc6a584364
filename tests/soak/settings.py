"""The settings of production, with the destinations and the accidents of the scenarios."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.soak.apps.SoakConfig"]
