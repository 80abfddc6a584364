"""The filters of the API's list of integrations."""

import django_filters

from customers.filters import YesNoFilter
from integrations.models import Integration


class IntegrationFilter(django_filters.FilterSet):
    destination = django_filters.CharFilter("destination")
    enabled = YesNoFilter("enabled")

    class Meta:
        model = Integration
        fields = ()
