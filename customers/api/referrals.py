"""The API of referrals: started by the friend's arrival, completed by an order or by hand."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from customers.filters import CreatedFilter, OneOfFilter
from customers.models import Referral
from customers.models.referrals import ReferralStatus
from customers.serializers import CustomerReferenceSerializer, NoBodySerializer, StrictModelSerializer
from customers.viewsets import StoreViewSet


class ReferralSerializer(StrictModelSerializer[Referral]):
    """A friend whom a customer brought."""

    class Meta:
        model = Referral
        fields = ("id", "referrer", "referee", "status", "coupon", "reward_amount", "completed_at", "created_at")
        read_only_fields = fields


class NewReferralSerializer(CustomerReferenceSerializer):
    """The friend, named by exactly one of four fields, and the code of the customer who brought the friend."""

    referral_code = serializers.CharField(max_length=40, help_text="The code of the customer who brought this one.")


class ReferralFilter(CreatedFilter):
    referrer = django_filters.UUIDFilter("referrer", help_text="Who brought the friend.")
    referee = django_filters.UUIDFilter("referee", help_text="The friend.")
    status = OneOfFilter(choices=ReferralStatus.choices)

    class Meta:
        model = Referral
        fields = ()


class ReferralViewSet(StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """Friends whom customers brought. The friend's first order that is completed or paid completes a referral."""

    queryset = Referral.objects.all()
    serializer_class = ReferralSerializer
    filterset_class = ReferralFilter
    body_serializers = {"create": NewReferralSerializer, "complete": NoBodySerializer}

    @extend_schema(request=NewReferralSerializer, responses={201: ReferralSerializer})
    def create(self, request: Request) -> Response:
        """A customer brought a friend, who gets the store's coupon for friends. Each friend is brought once."""
        said = self.body()
        referral = Referral.objects.start(
            store=self.store, referee=said["customer"], referral_code=said["referral_code"]
        )
        return self.answer(referral, status=201)

    @extend_schema(request=None, responses=ReferralSerializer)
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        """The friend bought something: both get their coins."""
        self.body()
        referral: Referral = self.get_object()
        referral.complete()
        return self.answer(referral)

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.with_people() if self.action == "complete" else rows
