"""The settings of production, with the destinations and the accidents of the scenarios."""

import select
import time

# libfaketime turns Python's sleep until a moment of the monotonic clock into EINVAL; a wait for nothing is left alone.
time.sleep = lambda seconds: select.select([], [], [], seconds) and None  # type: ignore[arg-type]

from config.settings import *  # noqa: E402, F403
from config.settings import INSTALLED_APPS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.soak.apps.SoakConfig"]
