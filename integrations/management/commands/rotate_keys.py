"""`manage.py rotate_keys`: encrypts every stored secret with the newest key, so that the old ones can go."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.encryption import SecretsUnreadable, rotate
from integrations.models import Integration


class Command(BaseCommand):
    help = "Encrypts all stored secrets with the first key of ENCRYPTION_KEYS; afterwards the others can be removed."

    def handle(self, **options: Any) -> None:
        done, unreadable = 0, []
        for integration in Integration.objects.exclude(encrypted_secrets="").select_related("store").iterator():
            before = integration.encrypted_secrets
            try:
                after = rotate(before)
            except SecretsUnreadable:
                unreadable.append(f"{integration.store}: {integration}")
                continue
            # Somebody who saved it meanwhile has used the newest key too.
            done += Integration.objects.filter(pk=integration.pk, encrypted_secrets=before).update(
                encrypted_secrets=after
            )
        self.stdout.write(f"Secrets encrypted with the newest key: {done}.")
        if unreadable:
            raise CommandError(
                "None of ENCRYPTION_KEYS reads the secrets of these, so put the lost key back, or enter them anew: "
                f"{', '.join(unreadable)}."
            )
        self.stdout.write("The older keys can be removed from ENCRYPTION_KEYS.")
