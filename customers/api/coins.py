"""The API of customers, their coins, offers, and the coupons that they get."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from customers.api.bulk import BulkMixin, NewCustomersSerializer, NewWalletTransactionsSerializer, bulk_schema
from customers.filters import CouponFilter, CustomerFilter, WalletTransactionFilter
from customers.models import Coupon, Customer, Offer, WalletTransaction
from customers.models.many import Outcome
from customers.serializers import (
    CouponSerializer,
    CustomerSerializer,
    NewWalletTransactionSerializer,
    NoBodySerializer,
    OfferSerializer,
    RedemptionSerializer,
    WalletTransactionSerializer,
)
from customers.viewsets import StoreViewSet


class CustomerViewSet(
    BulkMixin,
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
):
    """The store's customers."""

    queryset = Customer.objects.select_related("store", "wallet")
    serializer_class = CustomerSerializer
    filterset_class = CustomerFilter
    body_serializers = {"bulk": NewCustomersSerializer}

    @bulk_schema(NewCustomersSerializer, CustomerSerializer)
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Create up to 1,000 customers: each is taken or refused by itself, in their order."""
        return self.answer_each(partial(Customer.objects.create_many, self.store))


class WalletTransactionViewSet(BulkMixin, StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """The ledger: coins credited and debited."""

    queryset = WalletTransaction.objects.select_related("wallet")
    serializer_class = WalletTransactionSerializer
    filterset_class = WalletTransactionFilter
    body_serializers = {
        "create": NewWalletTransactionSerializer,
        "bulk": NewWalletTransactionsSerializer,
        "settle": NoBodySerializer,
        "cancel": NoBodySerializer,
    }

    @extend_schema(
        request=NewWalletTransactionSerializer,
        responses={201: WalletTransactionSerializer, 200: WalletTransactionSerializer},
    )
    def create(self, request: Request) -> Response:
        """Credit or debit coins. 200 instead of 201 says that this reference was counted before."""
        facts = self.body()
        entry, new = facts.pop("customer").wallet.record(**facts)
        return self.answer(entry, status=201 if new else 200)

    @bulk_schema(NewWalletTransactionsSerializer, WalletTransactionSerializer)
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Credit or debit coins up to 1,000 times: each is taken or refused by itself, in their order."""

        def write(items: Sequence[dict[str, Any]]) -> list[Outcome[WalletTransaction]]:
            rows = [{"wallet": item.pop("customer").wallet, **item} for item in items]
            return WalletTransaction.objects.record_many(self.store, rows)

        return self.answer_each(write)

    @extend_schema(request=None, responses=WalletTransactionSerializer)
    @action(detail=True, methods=["post"])
    def settle(self, request: Request, pk: str) -> Response:
        """Let a pending transaction take effect."""
        self.body()
        entry: WalletTransaction = self.get_object()
        entry.settle()
        return self.answer(entry)

    @extend_schema(request=None, responses=WalletTransactionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """End a pending transaction without effect."""
        self.body()
        entry: WalletTransaction = self.get_object()
        entry.cancel()
        return self.answer(entry)


class OfferViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
):
    """What customers get for their coins."""

    queryset = Offer.objects.all()
    serializer_class = OfferSerializer
    body_serializers = {"redeem": RedemptionSerializer}

    @extend_schema(request=RedemptionSerializer, responses={201: CouponSerializer, 200: CouponSerializer})
    @action(detail=True, methods=["post"])
    def redeem(self, request: Request, pk: str) -> Response:
        """Debit a customer's coins and give the coupon. 200 instead of 201: this reference was redeemed before."""
        offer: Offer = self.get_object()
        coupon, new = offer.redeem(**self.body())
        return Response(CouponSerializer(coupon).data, status=201 if new else 200)


class CouponViewSet(StoreViewSet, mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """The coupons that customers got. Those for coins come by redeeming an offer; POST here gives one for nothing."""

    queryset = Coupon.objects.all()
    serializer_class = CouponSerializer
    filterset_class = CouponFilter
    body_serializers = dict.fromkeys(("redeem", "expire", "cancel"), NoBodySerializer)

    @extend_schema(request=None, responses=CouponSerializer)
    @action(detail=True, methods=["post"])
    def redeem(self, request: Request, pk: str) -> Response:
        """The customer used it in an order."""
        self.body()
        coupon: Coupon = self.get_object()
        coupon.redeem()
        return self.answer(coupon)

    @extend_schema(request=None, responses=CouponSerializer)
    @action(detail=True, methods=["post"])
    def expire(self, request: Request, pk: str) -> Response:
        """Its time is over."""
        self.body()
        coupon: Coupon = self.get_object()
        coupon.expire()
        return self.answer(coupon)

    @extend_schema(request=None, responses=CouponSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """The store takes it back."""
        self.body()
        coupon: Coupon = self.get_object()
        coupon.cancel()
        return self.answer(coupon)
