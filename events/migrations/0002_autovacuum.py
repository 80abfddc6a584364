"""Sooner on PostgreSQL: what was sent leaves dead entries at the head of the index that each claim begins to read."""

from django.db import migrations

# At five million rows the default waits for a million dead ones, and a claim reads past all of them: with a quarter of
# that it takes nearly twice as long (docs/performance.md).
SOONER = "ALTER TABLE events_delivery SET (autovacuum_vacuum_scale_factor = 0.01)"
AS_USUAL = "ALTER TABLE events_delivery RESET (autovacuum_vacuum_scale_factor)"


def _on_postgresql(statement):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(statement)

    return run


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunPython(_on_postgresql(SOONER), _on_postgresql(AS_USUAL))]
