"""The API of the tools that a store has connected."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from customers.serializers import NoBodySerializer
from customers.viewsets import StoreViewSet
from integrations.calling import verify
from integrations.filters import IntegrationFilter
from integrations.models import Integration
from integrations.serializers import IntegrationChangeSerializer, IntegrationSerializer, VerificationSerializer


class IntegrationViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
):
    """The store's accounts at other tools. Deleting one archives it: what was sent stays readable."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
    queryset = Integration.objects.existing()
    serializer_class = IntegrationSerializer
    filterset_class = IntegrationFilter
    body_serializers = {"partial_update": IntegrationChangeSerializer, "verify": NoBodySerializer}
    calls_out = frozenset({"verify"})

    def perform_destroy(self, instance: Integration) -> None:
        instance.archive()

    @extend_schema(request=IntegrationChangeSerializer, responses=IntegrationSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change it, or switch it. Changed settings must be verified anew."""
        return super().partial_update(request, *args, **kwargs)

    @extend_schema(request=None, responses=VerificationSerializer)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Ask the tool whether the credentials are good; changes nothing there."""
        self.body()
        return Response(VerificationSerializer(verify(self.get_object())).data)


# Prefix, viewset, and the name by which addresses are reversed; config/urls.py registers them.
api_routes = [("integrations", IntegrationViewSet, "integration")]
