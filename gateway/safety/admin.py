"""Staff's page of the content rules."""

from typing import Final

from django import forms
from django.contrib import admin
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from billing.models import Tier
from gateway.safety.models import ContentRule

_TITLES: Final = dict(Tier.choices)


class ContentRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule, with a box for each tier."""

    tiers = forms.MultipleChoiceField(
        choices=Tier.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="Applies to",
    )

    class Meta:
        model = ContentRule
        fields = ("name", "kind", "text", "explanation", "tiers", "enabled")


@admin.register(ContentRule)
class ContentRuleAdmin(ModelAdmin):
    """What may not be asked.  A change acts in every process within a second."""

    form = ContentRuleForm
    list_display = ("name", "kind_label", "text", "applies_to", "state")
    list_filter = ("kind", "enabled")
    search_fields = ("name", "text", "explanation")

    @display(description="kind")
    def kind_label(self, rule: ContentRule) -> str:
        """Keyword or pattern."""
        return rule.kind

    @display(description="applies to")
    def applies_to(self, rule: ContentRule) -> str:
        """Whose prompts are held against it."""
        return ", ".join(_TITLES[tier] for tier in rule.tiers)

    @display(description="state", label={"on": "success", "off": "warning"})
    def state(self, rule: ContentRule) -> str:
        """Whether it is applied."""
        return "on" if rule.enabled else "off"
