from typing import Any

from django.core.management.base import CommandError

from accounts.reencryption import reencrypt_secrets
from automette.lib.commands import JsonCommand
from automette.lib.encryption import DecryptionError


class Command(JsonCommand):
    help = "Encrypt secrets with the first of ENCRYPTION_KEYS where another key did; safe to interrupt and repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = reencrypt_secrets()
        except DecryptionError as error:
            raise CommandError(str(error)) from error
        self.answer(options, {"reencrypted": count}, f"{count:,} rows are encrypted with the newest key now.")
