"""Operators can look at every model."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

OURS = ["accounts", "credits", "webhooks", "templates_app", "renders", "ondemand"]
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]


@pytest.fixture
def operator(database):
    user = get_user_model().objects.create_superuser("an operator", email="", password="long enough for it")
    client = Client()
    client.force_login(user)
    yield client
    user.delete()


def test_every_model_is_registered():
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_list_and_detail_can_be_opened(model, operator, server, api):
    api.render(api.template())
    label = f"{model._meta.app_label}_{model._meta.model_name}"
    assert operator.get(reverse(f"admin:{label}_changelist")).status_code == 200
    row = model.objects.order_by("-pk").first()
    if row is not None:
        assert operator.get(reverse(f"admin:{label}_change", args=[row.pk])).status_code == 200


def test_ledger_offers_no_change(operator, api):
    page = operator.get(reverse("admin:credits_ledgerentry_add"))
    assert page.status_code == 403


def test_stranger_is_sent_to_the_login(database):
    assert Client().get("/admin/renders/render/").status_code == 302
