"""The customers that the items of one call name, found together: one query where each item would make its own."""

from collections.abc import Set
from typing import Any

from customers.models import Customer, Store
from customers.models.identifiers import Name, spelled


class KnownCustomers:
    """Answers as `Customer.objects` of one store, out of those that were looked up with these names."""

    def __init__(self, store: Store, names: Set[Name]) -> None:
        self._store = store
        self._found = Customer.objects.select_related("wallet").named(names, store=store)

    def get(self, *, pk: Any) -> Customer:
        """The customer with this id. Raises DoesNotExist."""
        try:
            return self._found["pk", pk]
        except KeyError:
            raise Customer.DoesNotExist from None

    def find(self, *, store: Store, **identifier: str) -> Customer | None:
        """The customer with that identifier, or None. Raises ValidationError when the mobile number cannot be read."""
        assert store == self._store
        ((kind, text),) = identifier.items()
        return self._found.get((kind, spelled(kind, text, store=store)))
