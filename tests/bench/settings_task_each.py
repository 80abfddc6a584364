"""The settings of "task each": ours, with Django-Q as it comes, on the ORM broker."""

import os

from config.settings import *  # noqa: F403

Q_CLUSTER = {"name": os.environ["CLUSTER_NAME"], "orm": "default", "workers": int(os.environ["CLUSTER_WORKERS"])}
