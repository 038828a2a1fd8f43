"""The Celery application: messages are doorbells, rows are the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
app = Celery("automette")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
