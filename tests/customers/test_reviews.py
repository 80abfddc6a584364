"""Reviews: a rating from 1 to 5, and what the store makes of it."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from customers.facts import Fact
from customers.models import Customer, Review, Store


def review(customer: Customer, **fields: Any) -> Review:
    row = Review(store=customer.store, customer=customer, **{"rating": 5, **fields})
    row.full_clean()
    row.save()
    return row


class TestReview:
    def test_a_new_one_is_announced_once(self, customer: Customer, heard: list[list[Fact]]) -> None:
        row = review(customer, title="My favourite")
        assert [[(fact.instance, fact.created) for fact in one] for one in heard] == [[(row, True)]]
        assert (row.is_verified, row.is_featured) == (False, False)

    @pytest.mark.parametrize("rating", [0, 6, 32767])
    def test_a_rating_is_from_1_to_5(self, customer: Customer, rating: int) -> None:
        with pytest.raises(ValidationError) as refusal:
            review(customer, rating=rating)
        assert refusal.value.message_dict["rating"] == ["A rating is from 1 to 5."]
        with pytest.raises(IntegrityError), transaction.atomic():
            Review.objects.create(store=customer.store, customer=customer, rating=rating)

    def test_verified_and_featured(self, customer: Customer, heard: list[list[Fact]]) -> None:
        row = review(customer)
        heard.clear()
        row.verify()
        row.feature()
        row.feature()  # nothing changed
        row.feature(shown=False)
        assert [dict(fact.previous) for one in heard for fact in one] == [
            {"is_verified": False},
            {"is_featured": False},
            {"is_featured": True},
        ]
        stored = Review.objects.get()
        assert (stored.is_verified, stored.is_featured) == (True, False)

    def test_a_customer_of_another_store_is_refused(self, customer: Customer, other_store: Store) -> None:
        with pytest.raises(ValidationError) as refusal:
            Review(store=other_store, customer=customer, rating=5).full_clean()
        assert refusal.value.message_dict == {"customer": ["This customer is not one of this store's."]}

    def test_is_called_by_its_title(self) -> None:
        assert (str(Review(rating=4)), str(Review(rating=4, title="Good"))) == ("4 of 5", "Good")
