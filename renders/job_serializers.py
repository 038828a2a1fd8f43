from typing import Any

from rest_framework import serializers

from automette.lib.serializer_fields import TimestampField, WordField
from renders.models import Job
from renders.serializers import RenderListItemSerializer


class JobListQuerySerializer(serializers.Serializer[Any]):
    source = WordField(choices=Job.Source.choices, required=False)  # type: ignore[assignment]
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=100)


class JobQuerySerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=100)


class RendersByStatusSerializer(serializers.Serializer[Any]):
    pending = serializers.IntegerField()
    running = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()


class JobListItemSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="job.id")
    self = serializers.CharField(source="job.self_url")
    source = serializers.ChoiceField(source="job.source", choices=Job.Source.choices)  # type: ignore[assignment]
    created_at = TimestampField(source="job.created_at")
    finished_at = TimestampField(allow_null=True, help_text="When the last render finished; null while one is not.")
    render_count = serializers.IntegerField(help_text="Of all that the job caused, deleted ones too.")
    renders_by_status = RendersByStatusSerializer()
    deleted_count = serializers.IntegerField(help_text="How many of them were deleted; `renders` lists the others.")


class JobListSerializer(serializers.Serializer[Any]):
    jobs = JobListItemSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class JobSerializer(JobListItemSerializer):
    renders = RenderListItemSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Of the list of renders.")
