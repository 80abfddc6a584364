"""Lanes: a row for each integration, for as long as it is there."""

import pytest

from customers.models import Customer, Store
from events import lanes
from events.models import Delivery, Lane
from tests.factories import give_coins, make_integration, make_subscription

pytestmark = pytest.mark.django_db


class TestLaneRow:
    def test_every_integration_has_one(self, store: Store) -> None:
        integration = make_integration(store)
        assert integration.lane.closed == ""
        integration.lane.delete()
        assert lanes.add_missing() == 1
        assert Lane.objects.filter(integration=integration, store=store).exists()

    def test_a_deleted_integration_cancels_what_was_pending(self, store: Store, customer: Customer) -> None:
        integration = make_integration(store)
        make_subscription(integration)
        give_coins(customer, 5)
        integration.archive()
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.reason) == ("cancelled", "the integration was deleted")
        give_coins(customer, 5)
        assert Delivery.objects.count() == 1
