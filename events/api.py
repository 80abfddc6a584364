"""The API of the events: which there are, where they go, what happened, what was sent about it, and sending it again."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from customers.refusals import Refused
from customers.serializers import NoBodySerializer
from customers.viewsets import StoreViewSet
from events import catalogue
from events.catalogue import EventType
from events.catalogue_serializers import CatalogueSerializer, EventTypeDetailSerializer
from events.filters import DeliveryFilter, OccurrenceFilter, SendEventFilter
from events.matching import would_match
from events.models import Attempt, Delivery, Occurrence, Replay, Subscription
from events.preview import preview
from events.restrictions import Restriction, RestrictionError
from events.send_event_serializers import (
    DaysSerializer,
    MatchesSerializer,
    PreviewSerializer,
    RecipientSerializer,
    ReportSerializer,
    SendEventChangeSerializer,
    SendEventSerializer,
    UnsavedMatchSerializer,
    UnsavedTestSerializer,
)
from events.serializers import (
    CountSerializer,
    DeliverySerializer,
    DeliveryWithAttemptsSerializer,
    OccurrenceSerializer,
    ReplaySerializer,
    ResendManySerializer,
    ResendSerializer,
)
from events.testing import recipient, send_test


class EventTypeViewSet(StoreViewSet):
    """What can happen: when it fires, which fields it has, how they can restrict a send event, and its JSON Schema."""

    http_method_names = ["get", "head"]
    queryset = Occurrence.objects.none()  # it shows no rows: the catalogue is code
    serializer_class = EventTypeDetailSerializer
    pagination_class = None
    lookup_field = "key"

    @extend_schema(responses=CatalogueSerializer)
    def list(self, request: Request) -> Response:
        """Every event, on one page."""
        self.filter_queryset(self.get_queryset())  # refuses unknown parameters
        return Response(CatalogueSerializer({"results": catalogue.event_types().values()}).data)

    @extend_schema(parameters=[OpenApiParameter("key", str, "path")], responses=EventTypeDetailSerializer)
    def retrieve(self, request: Request, key: str) -> Response:
        """One event by its key, also in another spelling, with its fields, its schema and an example."""
        self.filter_queryset(self.get_queryset())
        try:
            return Response(EventTypeDetailSerializer(catalogue.event_type(key)).data)
        except catalogue.UnknownEventType:
            raise Http404 from None


class SendEventViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
):
    """Which event goes to which integration, under which name and restrictions.

    Deleting one archives it: what was sent stays readable, what is pending is cancelled. `test`, `preview` and
    `would-match` also take one that is not stored.
    """

    http_method_names = ["get", "head", "post", "patch", "delete"]
    queryset = Subscription.objects.existing().select_related("integration", "store")
    serializer_class = SendEventSerializer
    filterset_class = SendEventFilter
    body_serializers = {
        "partial_update": SendEventChangeSerializer,
        "test": RecipientSerializer,
        "test_unsaved": UnsavedTestSerializer,
        "would_match_unsaved": UnsavedMatchSerializer,
    }
    parameter_serializers = {"would_match": DaysSerializer}
    calls_out = frozenset({"test", "test_unsaved"})

    def perform_destroy(self, instance: Subscription) -> None:
        instance.archive()

    @extend_schema(request=SendEventChangeSerializer, responses=SendEventSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change it. What was recorded already goes out as it was."""
        return super().partial_update(request, *args, **kwargs)

    @extend_schema(request=RecipientSerializer, responses=ReportSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send one test event now, about this customer, whatever is switched off."""
        return self._test(self.get_object(), **self.body())

    @extend_schema(operation_id="send_events_test_unsaved", request=UnsavedTestSerializer, responses=ReportSerializer)
    @action(detail=False, methods=["post"], url_path="test")
    def test_unsaved(self, request: Request) -> Response:
        """Send one test event now by a send event that is not stored."""
        send_event, values = self._entered()
        return self._test(send_event, email=values.get("email", ""), mobile=values.get("mobile", ""))

    @extend_schema(responses=PreviewSerializer)
    @action(detail=True, filterset_class=None)
    def preview(self, request: Request, pk: str) -> Response:
        """The exact request that would go out, secrets masked; nothing is sent."""
        return self._preview(self.get_object())

    @extend_schema(operation_id="send_events_preview_unsaved", request=SendEventSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"], url_path="preview")
    def preview_unsaved(self, request: Request) -> Response:
        """The exact request that would go out by a send event that is not stored."""
        return self._preview(self._entered()[0])

    @extend_schema(parameters=[DaysSerializer], responses=MatchesSerializer)
    @action(detail=True, url_path="would-match", filterset_class=None)
    def would_match(self, request: Request, pk: str) -> Response:
        """How many of the recent events its restrictions would have let through."""
        return self._would_match(self.get_object(), **self.parameters())

    @extend_schema(
        operation_id="send_events_would_match_unsaved", request=UnsavedMatchSerializer, responses=MatchesSerializer
    )
    @action(detail=False, methods=["post"], url_path="would-match")
    def would_match_unsaved(self, request: Request) -> Response:
        """How many of the recent events a send event that is not stored would have let through."""
        send_event, values = self._entered()
        return self._would_match(send_event, days=values["days"])

    def _entered(self) -> tuple[Subscription, dict[str, Any]]:
        """The send event of this request's body, which is not stored, and all that the body says."""
        serializer: Any = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.unsaved(), serializer.validated_data

    def _test(self, send_event: Subscription, *, email: str = "", mobile: str = "") -> Response:
        kind, restrictions = _read(send_event)
        report = send_test(
            kind=kind,
            integration=send_event.integration,
            to=recipient(self.store, email=email, mobile=mobile),
            event_name=send_event.event_name,
            restrictions=restrictions,
            subscription=None if send_event._state.adding else send_event,
        )
        return Response(ReportSerializer(report).data)

    def _preview(self, send_event: Subscription) -> Response:
        kind, restrictions = _read(send_event)
        found = preview(
            kind=kind,
            integration=send_event.integration,
            event_name=send_event.event_name,
            restrictions=restrictions,
        )
        if found is None:
            raise Refused("", "There is neither such an event nor a customer of whom one could be made.", code="nobody")
        return Response(PreviewSerializer(found).data)

    def _would_match(self, send_event: Subscription, *, days: int) -> Response:
        kind, restrictions = _read(send_event)
        found = would_match(store=self.store, kind=kind, restrictions=restrictions, days=days)
        return Response(MatchesSerializer(found).data)


def _read(send_event: Subscription) -> tuple[EventType, list[Restriction]]:
    """Its event and its restrictions. Raises Refused when this version does not have the event, or one does not fit it."""
    try:
        return catalogue.event_type(send_event.event_key), send_event.read_restrictions()
    except catalogue.UnknownEventType as error:
        raise Refused("event_key", str(error), code="unknown_event") from None
    except RestrictionError as error:
        raise Refused("restrictions", str(error), code="does_not_fit") from None


class OccurrenceViewSet(StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """What happened, with the payload as it was then."""

    queryset = Occurrence.objects.all()
    serializer_class = OccurrenceSerializer
    filterset_class = OccurrenceFilter


class DeliveryViewSet(StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """One occurrence to one send event; a single one comes with its attempts and their HTTP calls."""

    queryset = Delivery.objects.with_reading()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    body_serializers = {
        "retrieve": DeliveryWithAttemptsSerializer,
        "resend": ResendSerializer,
        "resend_many": ResendManySerializer,
        "cancel": NoBodySerializer,
    }

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        if self.action == "retrieve":
            return rows.prefetch_related(Prefetch("attempts", Attempt.objects.select_related("exchange")))
        return rows

    @extend_schema(request=ResendSerializer, responses=DeliverySerializer)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send it again, now, under the same id or a new one."""
        new_id: bool = self.body()["new_id"]
        delivery: Delivery = self.get_object()
        delivery.resend(new_id=new_id)
        return self.answer(self.get_object())

    @extend_schema(
        operation_id="deliveries_resend_many",
        request=ResendManySerializer,
        responses={200: CountSerializer, 201: ReplaySerializer},
    )
    @action(detail=False, methods=["post"], url_path="resend")
    def resend_many(self, request: Request) -> Response:
        """Send many again, at a pace: `dry_run` counts them first; else follow the replay that this starts."""
        wanted = self.body()
        dry_run = wanted.pop("dry_run")
        replay = Replay(store=self.store, started_by=f"API key {self.request.user.key_name}"[:200], **wanted)
        if dry_run:
            return Response({"count": replay.matching().count()})
        replay.start()
        return Response(ReplaySerializer(replay).data, status=201)

    @extend_schema(request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Never send it."""
        self.body()
        delivery: Delivery = self.get_object()
        delivery.cancel(reason="cancelled through the API")
        return self.answer(self.get_object())


class ReplayViewSet(StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """Many deliveries that are being sent again, and how far that is."""

    queryset = Replay.objects.all()
    serializer_class = ReplaySerializer
    body_serializers = {"cancel": NoBodySerializer}

    @extend_schema(request=None, responses=ReplaySerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """No more of it: what it made due already stays so."""
        self.body()
        replay: Replay = self.get_object()
        replay.cancel()
        return self.answer(replay)


# Prefix, viewset, and the name by which addresses are reversed; config/urls.py registers them.
api_routes = [
    ("event-types", EventTypeViewSet, "event-type"),
    ("send-events", SendEventViewSet, "send-event"),
    ("occurrences", OccurrenceViewSet, "occurrence"),
    ("deliveries", DeliveryViewSet, "delivery"),
    ("replays", ReplayViewSet, "replay"),
]
