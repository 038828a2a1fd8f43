from django.db import migrations


class Migration(migrations.Migration):
    """Periods begin at the account's anchor plus whole months; the database computes them, by its own clock.

    So far no account was ever reset: its period began when it was opened, and ended on the 28th at the latest.
    """

    dependencies = [("credits", "0003_plans")]
    operations = [
        migrations.RunSQL(
            sql="""
                -- When the period began that contains this moment, or the one that many periods later. In UTC, and on
                -- the last day of a month that is too short.
                CREATE FUNCTION credits_period_start(anchored_at timestamptz, moment timestamptz, later integer)
                RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
                    SELECT (anchor + make_interval(months => later + apart
                        - (anchor + make_interval(months => apart) > moment_utc)::integer)) AT TIME ZONE 'UTC'
                    FROM (
                        SELECT anchor, moment_utc, (
                            12 * (extract(year FROM moment_utc) - extract(year FROM anchor))
                            + extract(month FROM moment_utc) - extract(month FROM anchor))::integer AS apart
                        FROM (
                            SELECT anchored_at AT TIME ZONE 'UTC' AS anchor, moment AT TIME ZONE 'UTC' AS moment_utc
                        ) AS both_in_utc
                    ) AS months
                $$;
            """,
            reverse_sql="DROP FUNCTION credits_period_start(timestamptz, timestamptz, integer);",
        ),
        migrations.RunSQL(
            sql="""
                UPDATE credits_creditaccount
                SET anchored_at = period_started_at,
                    resets_at = credits_period_start(period_started_at, period_started_at, 1);
            """,
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
