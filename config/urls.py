"""Every address of the system."""

from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from config import health
from config.admin import site
from config.problems import bad_request, not_found, server_error
from config.schema import DocsView
from customers.api import api_routes as customers_routes
from events.api import api_routes as events_routes
from integrations.api import api_routes as integrations_routes

router = SimpleRouter()
for prefix, viewset, basename in (*customers_routes, *integrations_routes, *events_routes):
    router.register(prefix, viewset, basename=basename)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", site.urls),
    path("api/v1/", include(router.urls)),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", DocsView.as_view(url_name="schema"), name="docs"),
    re_path("^api/", not_found),
    path("health/live/", health.live),
    path("health/ready/", health.ready),
    path("health/deliveries/", health.deliveries),
    path("metrics/", health.prometheus),
]

handler400 = bad_request
handler404 = not_found
handler500 = server_error
