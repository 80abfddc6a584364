"""The base of every viewset. Not in tenancy.py: DRF's viewsets import what settings name, which is there."""

from typing import Any, ClassVar

from django.db import models
from rest_framework import serializers, viewsets
from rest_framework.response import Response

from customers.idempotency import OnceMixin
from customers.tenancy import StoreRowsViewMixin


class StoreViewSet(OnceMixin, StoreRowsViewMixin, viewsets.GenericViewSet[Any]):
    """Rows of the key's store; first of a viewset's bases, before DRF's mixins.

    `serializer_class` answers; `body_serializers` takes its place in the actions named there. `parameter_serializers`
    reads the parameters of actions that are no lists.
    """

    http_method_names = ["get", "head", "post", "patch"]
    body_serializers: ClassVar[dict[str, type[serializers.Serializer[Any]]]] = {}
    parameter_serializers: ClassVar[dict[str, type[serializers.Serializer[Any]]]] = {}

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return self.body_serializers.get(self.action) or super().get_serializer_class()

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        serializer.save(store=self.store)

    def body(self) -> dict[str, Any]:
        """What the body of this request says, as its action's serializer reads it. Raises ValidationError."""
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values

    def parameters(self) -> dict[str, Any]:
        """What the address of this request says beside the row, as its action reads it. Raises ValidationError."""
        serializer = self.parameter_serializers[self.action](data=self.request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values

    def answer(self, row: models.Model, *, status: int = 200) -> Response:
        """The row, as this viewset shows one."""
        assert self.serializer_class is not None
        return Response(self.serializer_class(row, context=self.get_serializer_context()).data, status=status)
