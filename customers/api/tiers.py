"""The API of VIP tiers: the steps of the store's ladder."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from customers.models import Tier
from customers.serializers import StrictModelSerializer
from customers.viewsets import StoreViewSet


class TierSerializer(StrictModelSerializer[Tier]):
    """A step of the ladder. What it counts, and for how long a tier is held, is in the store's settings."""

    class Meta:
        model = Tier
        fields = ("id", "name", "threshold")


class TierViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
):
    """The store's VIP tiers. Who is in which one stands on the customers."""

    queryset = Tier.objects.all()
    serializer_class = TierSerializer

    @extend_schema(request=TierSerializer, responses=TierSerializer)
    def partial_update(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Rename it, and who is in it stays there; or move its threshold, and all are judged anew soon."""
        return super().partial_update(request, *args, **kwargs)
