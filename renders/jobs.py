"""Jobs as callers see them: with what became of their renders."""

import dataclasses
import datetime as dt
from collections.abc import Iterable

from django.db.models import Count, Max

from accounts.models import Team
from automette.lib.errors import NotFoundError
from automette.lib.pagination import page_by_id
from renders.models import Job, Render


@dataclasses.dataclass(slots=True)
class JobSummary:
    """A job and the counts of its renders; deleted ones count by the status they ended with."""

    job: Job
    renders_by_status: dict[str, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(Render.Status.values, 0)
    )
    deleted_count: int = 0
    last_finished_at: dt.datetime | None = None

    @property
    def render_count(self) -> int:
        return sum(self.renders_by_status.values())

    @property
    def finished_at(self) -> dt.datetime | None:
        """When the last render finished; None while one is not."""
        return None if any(self.renders_by_status[status] for status in Render.OPEN) else self.last_finished_at


def list_jobs(
    *, team: Team, limit: int, cursor: str | None = None, source: str | None = None
) -> tuple[list[JobSummary], str | None]:
    """Return a page of the team's jobs, newest first, and the next cursor. Raises InvalidValueError."""
    jobs = team.jobs.filter(source=source) if source else team.jobs.all()
    page, next_cursor = page_by_id(jobs, known=team.jobs.all(), limit=limit, cursor=cursor)
    return summarize(page), next_cursor


def find_job(*, team: Team, job_id: str) -> JobSummary:
    """Return a job of the team; raises NotFoundError."""
    job = team.jobs.filter(pk=job_id).first()
    if job is None:
        raise NotFoundError
    return summarize([job])[0]


def summarize(jobs: Iterable[Job]) -> list[JobSummary]:
    """Count the renders of all these jobs with one query, which reads nothing but the index `render_by_job`."""
    summaries = {job.id: JobSummary(job) for job in jobs}
    counts = (
        Render.objects.filter(job_id__in=summaries)
        .order_by()
        .values_list("job_id", "status")
        .annotate(Count("pk"), Count("deleted_at"), Max("finished_at"))
    )
    for job_id, status, count, deleted, finished_at in counts:
        summary = summaries[job_id]
        summary.renders_by_status[status] = count
        summary.deleted_count += deleted
        summary.last_finished_at = max(filter(None, [summary.last_finished_at, finished_at]), default=None)
    return list(summaries.values())
