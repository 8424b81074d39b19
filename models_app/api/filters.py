"""What the list of models can be narrowed by."""

import django_filters
from django.db.models import QuerySet

from models_app.choices import Algorithm, Tier
from models_app.models import RegisteredModel


class ModelFilter(django_filters.FilterSet):
    name = django_filters.CharFilter(lookup_expr="icontains", help_text="part of the name")
    algorithm = django_filters.ChoiceFilter(choices=Algorithm.choices)
    tier = django_filters.ChoiceFilter(choices=Tier.choices)
    tag = django_filters.CharFilter(method="with_tag", help_text="a tag that the model bears")
    retired = django_filters.BooleanFilter(
        field_name="retired_at", lookup_expr="isnull", exclude=True, help_text="true: only retired"
    )

    class Meta:
        model = RegisteredModel
        fields = ("name", "algorithm", "tier", "tag", "retired")

    def with_tag(
        self, queryset: QuerySet[RegisteredModel], name: str, value: str
    ) -> QuerySet[RegisteredModel]:
        return queryset.filter(tags__contains=[value])
