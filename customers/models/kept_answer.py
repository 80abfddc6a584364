"""Answers that are kept for a day, so that a request sent again under its `Idempotency-Key` does nothing twice.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ (but another body is answered 409, not 422).
"""

from datetime import timedelta
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from customers.models.store import Store, StoreModel
from customers.refusals import Conflict

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=90)  # longer than any request takes; after it, one that died is done anew
HEADER = "Idempotency-Key"


class KeptAnswerQuerySet(models.QuerySet["KeptAnswer"]):
    def expired(self) -> "KeptAnswerQuerySet":
        """Those whose day is over: their keys are free again."""
        return self.filter(created_at__lte=Now() - KEPT)

    def begin(self, *, store: Store, key: str, fingerprint: str) -> "KeptAnswer":
        """The row of this request: claimed for it, or with the answer that an earlier one got (`is_answered`).

        Call it outside any transaction, so that others see the claim. Raises Conflict when the key was used for
        another request (another fingerprint), or while that one is under way.
        """
        claim, leased_until = uuid4(), Now() + LEASE
        fresh = {"fingerprint": fingerprint, "claim": claim, "leased_until": leased_until}
        self.bulk_create([KeptAnswer(store=store, key=key, **fresh)], ignore_conflicts=True)
        this = self.filter(store=store, key=key)
        row = this.first()
        if row and row.claim == claim:
            return row
        died = Q(status=None, leased_until__lte=Now(), fingerprint=fingerprint)
        if (this.expired() | this.filter(died)).update(**fresh, created_at=Now(), status=None, body=""):
            return this.get()
        if row and row.is_answered and row.fingerprint == fingerprint:
            return row
        if row and row.fingerprint != fingerprint:
            sentence = f"This {HEADER} was used for another request. Give each request a key of its own."
            raise Conflict(HEADER, sentence, code="key_reused")
        raise Conflict(HEADER, f"The request with this {HEADER} is still under way. Try again.", code="under_way")


class KeptAnswer(StoreModel):
    """One key of a store: under way while `status` is null, held by `claim` until `leased_until`; then its answer."""

    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of method, address and body
    claim = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    media_type = models.CharField(max_length=60, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = KeptAnswerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "key"], name="one_answer_for_each_key")]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_oldest")]

    def __str__(self) -> str:
        return f"{self.key}: {self.status or 'under way'}"

    @property
    def is_answered(self) -> bool:
        return self.status is not None

    def keep(self, *, status: int, media_type: str, body: str) -> None:
        """Note the answer, in the transaction of what the request did. Raises Conflict when another one took over."""
        mine = KeptAnswer.objects.filter(pk=self.pk, claim=self.claim)
        if not mine.update(status=status, media_type=media_type, body=body, claim=None, leased_until=None):
            sentence = "This took so long that a repeated request took over; nothing was done here. Try again."
            raise Conflict(HEADER, sentence, code="taken_over")

    def forget(self) -> None:
        """Nothing was done: the key is free for another try."""
        KeptAnswer.objects.filter(pk=self.pk, claim=self.claim).delete()
