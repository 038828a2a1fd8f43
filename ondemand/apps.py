from django.apps import AppConfig


class OndemandConfig(AppConfig):
    name = "ondemand"
