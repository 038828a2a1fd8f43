from django.db import migrations


class Migration(migrations.Migration):
    """Rows of the audit are only ever added: the database refuses to change or delete one."""

    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.RunSQL(
            sql="""
                CREATE FUNCTION accounts_auditentry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'accounts_auditentry is append-only'; END $$;
                CREATE TRIGGER accounts_auditentry_append_only BEFORE UPDATE OR DELETE ON accounts_auditentry
                FOR EACH ROW EXECUTE FUNCTION accounts_auditentry_is_append_only();
                CREATE TRIGGER accounts_auditentry_not_truncated BEFORE TRUNCATE ON accounts_auditentry
                FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditentry_is_append_only();
            """,
            reverse_sql="""
                DROP TRIGGER accounts_auditentry_not_truncated ON accounts_auditentry;
                DROP TRIGGER accounts_auditentry_append_only ON accounts_auditentry;
                DROP FUNCTION accounts_auditentry_is_append_only();
            """,
        )
    ]
