"""Which coins are spent and which run out: every credit knows what is left of it.

What is left of a wallet's credits sums to its balance, always: both move under the wallet's lock. It is kept, not worked
out: the oldest credits, and those whose time is over, are then found by an index, however long the ledger is.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from django.utils import timezone

from customers.days import day_of, last_day_over, midnight
from customers.facts import FactModel, FactQuerySet
from customers.models.store import Store

logger = logging.getLogger(__name__)

PAGE = 100  # credits that are looked at in one query for each wallet; each is drained only once in its life

M = TypeVar("M", bound=FactModel)


class CreditQuerySet(FactQuerySet[M]):
    def left(self) -> Self:
        """Credits of which something is left, the oldest first."""
        return self.filter(remaining__gt=0).order_by("effective_at", "id")

    def spend(self, debits: Mapping[Any, int], *, new: Iterable[M] = ()) -> None:
        """Take so many coins of each of these wallets, by its id, from its oldest credits; the locks are held.

        `new`: credits that are not saved yet, the youngest of all; what is left of them is set.
        """
        due = Counter({wallet: coins for wallet, coins in debits.items() if coins})
        while due:
            page = self.left().filter(wallet__in=[*due]).values_list("pk", "wallet", "remaining")[: PAGE * len(due)]
            if not page:
                break
            self._take(page, due)
        for credit in new:
            of: Any = credit
            coins = min(due[of.wallet_id], of.remaining)
            of.remaining -= coins
            due[of.wallet_id] -= coins
        for coins in filter(None, due.values()):
            logger.error("The credits of a wallet do not sum to its balance: %d coins were spent of nothing", coins)

    def _take(self, credits: Iterable[tuple[Any, Any, int]], due: Counter[Any]) -> None:
        """Take of these credits (key, wallet, what is left) what is due; nothing is due of a wallet that is not in it."""
        drained = []
        begun = []
        for key, wallet, left in credits:
            if left > due[wallet] > 0:
                begun.append(self.model(pk=key, remaining=left - due.pop(wallet)))
            elif due[wallet]:
                drained.append(key)
                due[wallet] -= left
                if not due[wallet]:
                    del due[wallet]
        self.filter(pk__in=drained).keep_books(remaining=0)
        self.keep_books_of(begun, ["remaining"])

    def over(self) -> Iterator[Self]:
        """Credits of which something is left though their time is over: query sets, each with an index of its own.

        A time of their own wins over the store's setting, by which coins expire when the last day has ended.
        """
        now = timezone.now()
        left = self.filter(remaining__gt=0)
        yield left.filter(expires_at__lte=now)
        for credited_before, stores in _stores_by_deadline(now):
            yield left.filter(expires_at=None, effective_at__lt=credited_before, store__in=stores)


def _stores_by_deadline(now: datetime) -> Iterator[tuple[datetime, list[Any]]]:
    """The time before which coins were credited that have expired now, and the stores that it holds for."""
    stores: dict[tuple[Any, str], list[Any]] = {}
    rows = Store.objects.order_by().filter(coins_expire_after__isnull=False)
    for key, months, time_zone in rows.values_list("pk", "coins_expire_after", "time_zone"):
        stores.setdefault((months, time_zone), []).append(key)
    for (months, time_zone), keys in stores.items():
        last = last_day_over(day_of(now, time_zone), months)
        yield midnight(last + timedelta(days=1), time_zone), keys
