"""What operators see of webhooks, and what they may do: neither a secret nor a change of what was sent."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from automette.lib.encryption import encrypt
from tests.webhooks.deliveries import deliver, subscribe
from webhooks import redelivery
from webhooks.models import Attempt, Delivery, Subscription


@pytest.fixture
def client_of(database):
    """Log in a person with these permissions of webhooks; all of them without a name."""
    made = []

    def make(*names):
        people = get_user_model().objects
        person = people.create_user(f"person {len(made)} of webhooks", password="long enough", is_staff=True)
        made.append(person)
        person.is_superuser = not names
        person.save()
        person.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(person)
        return client

    yield make
    for person in made:
        person.delete()


def act(client, model, action, *rows):
    return client.post(
        reverse(f"admin:webhooks_{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )


def page(client, row):
    answer = client.get(reverse(f"admin:webhooks_{row._meta.model_name}_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_no_secret_is_shown_not_even_encrypted(api, client_of):
    subscription = subscribe(api)
    previous = encrypt("wh_before", subscription.id)
    Subscription.objects.filter(pk=subscription.pk).update(previous_secret=previous)
    client = client_of()
    shown = page(client, subscription)
    shown += client.get(reverse("admin:webhooks_subscription_changelist")).content.decode()
    assert subscription.url in shown
    assert subscription.secret not in shown
    assert previous not in shown
    assert "s1:" not in shown


def test_delivery_shows_its_attempts_read_only(api, client_of):
    delivery = deliver(subscribe(api), status="failed")
    for number in (1, 2):
        Attempt.objects.create(
            delivery=delivery, claim=number, url="https://then.example", error=f"Failure {number}."
        )
    shown = page(client_of(), delivery)
    assert shown.index("Failure 2.") < shown.index("Failure 1.")
    assert '<input type="submit"' not in shown.replace("'", '"')
    assert "attempts-0-delete" not in shown.lower()


@pytest.mark.parametrize("model", ["subscription", "event", "delivery", "attempt"])
def test_nothing_is_added_changed_or_deleted_here(api, client_of, model):
    delivery = deliver(subscribe(api), status="failed")
    row = {
        "subscription": delivery.subscription,
        "event": delivery.event,
        "delivery": delivery,
        "attempt": Attempt.objects.create(delivery=delivery, claim=1, url="https://then.example"),
    }[model]
    client = client_of()
    assert client.get(reverse(f"admin:webhooks_{model}_add")).status_code == 403
    for view in ("change", "delete"):
        assert client.post(reverse(f"admin:webhooks_{model}_{view}", args=[row.pk]), {"url": "x"}).status_code == 403
    assert act(client, model, "delete_selected", row).status_code == 200
    assert type(row).objects.filter(pk=row.pk).exists()


def test_enable_again(api, client_of):
    off = subscribe(api, enabled=False, failure_count=10, disabled_reason="10 failed attempts in a row.")
    gone = subscribe(api, enabled=False)
    api.send("DELETE", f"/api/v1/webhooks/{gone.id}")
    act(client_of(), "subscription", "enable_again", off, gone)
    rows = {row.pk: row for row in Subscription.objects.filter(team=api.team)}
    assert (rows[off.pk].enabled, rows[off.pk].failure_count, rows[off.pk].disabled_reason) == (True, 0, "")
    assert not rows[gone.pk].enabled
    entry = AuditEntry.objects.get(team=api.team, action="webhook.updated")
    assert (entry.actor, entry.subject) == ("person 0 of webhooks", off.id)


def test_redeliver_does_what_can_be_done_and_says_what_cannot(api, client_of, monkeypatch):
    rung = []
    monkeypatch.setattr(redelivery, "send_after_commit", lambda *_, kwargs, **__: rung.append(kwargs))
    failed, sending = deliver(subscribe(api), status="failed"), deliver(subscribe(api), status="sending")
    answer = act(client_of(), "delivery", "send_again", failed, sending)
    assert "An attempt at this delivery is being made at this moment." in answer.content.decode()
    assert {row.pk: (row.status, row.manual) for row in Delivery.objects.filter(team=api.team)} == {
        failed.pk: ("pending", True),
        sending.pk: ("sending", False),
    }
    assert rung == [{"delivery_id": failed.id}]


def test_who_may_only_look_cannot_act(api, client_of):
    off, failed = subscribe(api, enabled=False), deliver(subscribe(api), status="failed")
    client = client_of("view_subscription", "view_delivery", "view_attempt")
    assert client.get(reverse("admin:webhooks_delivery_changelist")).status_code == 200
    act(client, "subscription", "enable_again", off)
    act(client, "delivery", "send_again", failed)
    assert not Subscription.objects.get(pk=off.pk).enabled
    assert Delivery.objects.get(pk=failed.pk).status == "failed"
