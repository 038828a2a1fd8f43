from django.db import migrations


class Migration(migrations.Migration):
    """Rows of the ledger are only ever added: the database refuses to change or delete one."""

    dependencies = [("credits", "0001_initial")]
    operations = [
        migrations.RunSQL(
            sql="""
                CREATE FUNCTION credits_ledgerentry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'credits_ledgerentry is append-only'; END $$;
                CREATE TRIGGER credits_ledgerentry_append_only BEFORE UPDATE OR DELETE ON credits_ledgerentry
                FOR EACH ROW EXECUTE FUNCTION credits_ledgerentry_is_append_only();
                CREATE TRIGGER credits_ledgerentry_not_truncated BEFORE TRUNCATE ON credits_ledgerentry
                FOR EACH STATEMENT EXECUTE FUNCTION credits_ledgerentry_is_append_only();
            """,
            reverse_sql="""
                DROP TRIGGER credits_ledgerentry_not_truncated ON credits_ledgerentry;
                DROP TRIGGER credits_ledgerentry_append_only ON credits_ledgerentry;
                DROP FUNCTION credits_ledgerentry_is_append_only();
            """,
        )
    ]
