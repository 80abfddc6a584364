"""Nothing is lost: real processes on services of their own, killed in every way, and counted at the receiver."""

import os
import select
import time

if "FAKETIME_TIMESTAMP_FILE" in os.environ:
    # libfaketime turns Python's sleep until a moment of the monotonic clock into EINVAL; it leaves this wait alone.
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None  # type: ignore[arg-type]
