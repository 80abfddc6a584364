"""Bulk calls: up to 1,000 items in one request, each taken or refused by itself, with the answer that it would get alone."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from customers.known_customers import KnownCustomers
from customers.models.many import Outcome
from customers.serializers import CustomerSerializer, NewWalletTransactionSerializer, StrictSerializer

MOST = 1000

F = TypeVar("F", bound=Callable[..., Any])


class ItemList(serializers.ListSerializer[Any]):
    """Items, each judged by itself: what it says, or the ValidationError that it would get alone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_empty=False, max_length=MOST, **kwargs)

    child: Any

    def run_child_validation(self, data: Any) -> Any:
        try:
            return self.child.run_validation(data)
        except ValidationError as error:
            return error


class ItemsOfCustomers(ItemList):
    """Items that each name a customer of the store: all those customers are looked up together."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) <= MOST:
            names = {name for item in data for name in self.child.names(item)}
            context: Any = self.context
            context["customers"] = KnownCustomers(self.context["store"], names)
        return super().to_internal_value(data)


class NewCustomersSerializer(StrictSerializer):
    """Customers to create."""

    items = ItemList(child=CustomerSerializer())


class NewWalletTransactionsSerializer(StrictSerializer):
    """Coins to credit or debit."""

    items = ItemsOfCustomers(child=NewWalletTransactionSerializer())


@extend_schema_field({"$ref": "#/components/schemas/Problem"})
class ProblemField(serializers.JSONField):
    """Problem details, as every call answers them."""


def bulk_schema(body: type[serializers.Serializer[Any]], row: type[serializers.Serializer[Any]]) -> Callable[[F], F]:
    """Describes a bulk call whose body is `body`, and which makes rows that `row` shows."""
    name = row.__name__.removesuffix("Serializer")
    result = inline_serializer(
        f"{name}Result",
        {
            "index": serializers.IntegerField(min_value=0, max_value=MOST - 1, help_text="Of the item, from 0."),
            "status": serializers.IntegerField(help_text="What the item would have been answered alone, such as 201."),
            "data": row(required=False),
            "problem": ProblemField(required=False, help_text="Instead of `data`, when the item was refused."),
        },
        many=True,
    )
    counts = {
        "created": "Items that were written.",
        "repeated": "Items whose reference was counted before.",
        "refused": "Items that were not written.",
    }
    answer = inline_serializer(
        f"{name}Results",
        {name: serializers.IntegerField(help_text=text) for name, text in counts.items()} | {"results": result},
    )
    described: Callable[[F], F] = extend_schema(request=body, responses=answer)
    return described


class BulkMixin:
    """For viewsets with a bulk call."""

    def answer_each(self, write: Callable[[Sequence[dict[str, Any]]], Sequence[Outcome[Any]]]) -> Response:
        """Judge the items of the body, `write` those whose fields are right, and tell for each what became of it."""
        items = self.body()["items"]  # type: ignore[attr-defined]
        written = iter(write([item for item in items if not isinstance(item, ValidationError)]))
        outcomes = [Outcome(refusal=item) if isinstance(item, ValidationError) else next(written) for item in items]
        shown: serializers.BaseSerializer[Any] = self.serializer_class(context=self.get_serializer_context())  # type: ignore[attr-defined]
        results = [{"index": index, **self._result(outcome, shown)} for index, outcome in enumerate(outcomes)]
        created = sum(outcome.new for outcome in outcomes)
        refused = sum(outcome.refusal is not None for outcome in outcomes)
        repeated = len(outcomes) - created - refused
        return Response({"created": created, "repeated": repeated, "refused": refused, "results": results})

    def _result(self, outcome: Outcome[Any], shown: serializers.BaseSerializer[Any]) -> dict[str, Any]:
        if outcome.refusal is not None:
            problem = self.handle_exception(outcome.refusal)  # type: ignore[attr-defined]
            return {"status": problem.status_code, "problem": json.loads(problem.content)}
        return {"status": 201 if outcome.new else 200, "data": shown.to_representation(outcome.row)}
