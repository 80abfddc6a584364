"""The tasks that Django-Q runs: thin, and harmless when lost or doubled."""

import time
from collections.abc import Callable

from django_q.tasks import async_task

from customers.models import Coupon, Customer, KeptAnswer, Wallet
from events import claims, healing, heartbeat, lanes, notices, replays, sending, totals
from events.models import Replay
from events.waking import REPLAYS, wake, wake_replays, woken

BUDGET = 5.0  # seconds that a long job works in one go, so that it never keeps the senders waiting


def send_due() -> int:
    """Send what is due; queued by each recording's wake-up."""
    woken()
    return sending.deliver()


def go_on_with_replays() -> int:
    """Make more deliveries due that somebody wants to have sent again."""
    woken(REPLAYS)
    return replays.work()


def mail_notices() -> int:
    """Mail what store admins must hear of."""
    return notices.mail_waiting()


def sweep() -> None:
    """The second net, once a minute: heals what should not be, and wakes the senders when something is due."""
    lanes.add_missing()
    healing.heal()
    claims.release_lost()
    totals.add_up()
    heartbeat.forget_old()
    notices.mail_waiting()
    KeptAnswer.objects.expired().delete()
    if claims.anything_to_do():
        wake()
    if Replay.objects.running().exists():
        wake_replays()


def expire_coins() -> int:
    """Coins whose time is over leave their wallets; returns of how many wallets."""
    return _by_batches(Wallet.objects.expire_coins, task="events.tasks.expire_coins")


def expire_coupons() -> int:
    """Issued coupons whose time is over become expired; returns how many."""
    return _by_batches(Coupon.objects.expire_due, task="events.tasks.expire_coupons")


def review_tiers() -> int:
    """Customers whose tier ends, or whose store changed its tiers, are judged anew; returns how many."""
    return _by_batches(Customer.objects.review_tiers, task="events.tasks.review_tiers")


def _by_batches(batch: Callable[[], int], *, task: str) -> int:
    """Do batch after batch until one finds nothing to do, or time is over: then the task is queued again.

    Each batch is a transaction of its own, and finds its work anew: nothing is lost or done twice, whoever runs beside.
    """
    ends = time.monotonic() + BUDGET
    done = 0
    while found := batch():
        done += found
        if time.monotonic() >= ends:
            async_task(task, task_name=task.rpartition(".")[2])
            break
    return done
