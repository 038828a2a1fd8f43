"""Settings, read from the environment only. `.env.example` lists them with their defaults."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured

from automette.lib.encryption import read_keys

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- the process
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="")
PUBLIC_URL = env("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
CDN_BASE_URL = env("CDN_BASE_URL", default=PUBLIC_URL).rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
AUTOMETTE_DATA = Path(env("AUTOMETTE_DATA", default=".local"))
ROOT_URLCONF = "automette.urls"
WSGI_APPLICATION = "automette.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
METRICS_TOKEN = env("METRICS_TOKEN", default="")
try:
    ENCRYPTION_KEYS = read_keys(env.list("ENCRYPTION_KEYS", default=[]))
except ValueError as error:
    raise ImproperlyConfigured(f"ENCRYPTION_KEYS must read id:base64-of-32-bytes,...: {error}.") from error

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "credits",
    "webhooks",
    "templates_app",
    "renders",
    "ondemand",
    "demo",
]
MIDDLEWARE = [
    "automette.lib.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "automette" / "pages"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no collectstatic step: one command less to forget
WHITENOISE_MAX_AGE = 3600

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}
]

# --- database: a small pool per process. A request or task borrows a connection for its statements and gives it
# back before it waits, renders or calls out; the statements of the hot path are prepared on the server.
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=16)
_database: dict[str, Any] = env.db_url("DATABASE_URL", default="postgresql:///automette")
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 3},
            "server_side_binding": True,
            "prepare_threshold": 2,
            "connect_timeout": 3,
        },
    }
}

# --- broker: a doorbell. Every setting here serves one rule: losing Redis may delay a render, never lose it.
REDIS_URL = env("REDIS_URL", default="redis://127.0.0.1:6379/0")
QUEUES = ("interactive", "async", "docx", "bulk", "webhooks")
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = f"automette.lib.wakeup.PublishingBackend+{REDIS_URL}"
CELERY_RESULT_EXPIRES = 60
CELERY_TASK_IGNORE_RESULT = True  # results are asked for by sync renders only, as a wake-up
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # safe because a claim counts attempts
CELERY_TASK_PUBLISH_RETRY = False  # the sweeper is the retry
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "async"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # threads cannot be cancelled; leases decide
CELERY_WORKER_CONSUMER = "automette.lib.consumer:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,  # above the longest task
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "max_retries": 0,  # of a publish: without, an accept tries for 4 s while the broker is away
    "priority_steps": [0],  # our queues are the priorities; four steps of each would be four times the keys
    "queue_order_strategy": "priority",  # in the order of the worker's -Q: interactive first
}
CELERY_REDIS_SOCKET_TIMEOUT = 5
CELERY_REDIS_SOCKET_CONNECT_TIMEOUT = 2
CELERY_DB_REUSE_MAX = 10**9  # our tasks give connections back to the pool themselves (renders.tasks)
CELERY_BEAT_SCHEDULE = {
    "reset-credits": {"task": "credits.reset_due", "schedule": 60.0, "options": {"expires": 60}},
    "delete-superseded-files": {"task": "renders.delete_superseded_files", "schedule": 300.0},
    "delete-expired-files": {"task": "renders.delete_expired_files", "schedule": 60.0, "options": {"expires": 60}},
    "delete-expired-idempotency-keys": {"task": "accounts.delete_expired_idempotency_keys", "schedule": 600.0},
    "delete-assets-of-deleted-templates": {
        "task": "templates_app.delete_assets_of_deleted_templates",
        "schedule": 300.0,
    },
    "delete-unused-blobs": {"task": "templates_app.delete_unused_blobs", "schedule": 3600.0},
    "delete-old-events": {"task": "webhooks.delete_old_events", "schedule": 3600.0, "options": {"expires": 3600}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(AUTOMETTE_DATA / "beat-schedule")

# --- object store
S3_ENDPOINT_URL = env("S3_ENDPOINT_URL", default="") or None
S3_PUBLIC_ENDPOINT_URL = env("S3_PUBLIC_ENDPOINT_URL", default="") or S3_ENDPOINT_URL
S3_BUCKET = env("S3_BUCKET", default="automette")
S3_REGION = env("S3_REGION", default="us-east-1")
S3_ACCESS_KEY_ID = env("S3_ACCESS_KEY_ID", default="") or None
S3_SECRET_ACCESS_KEY = env("S3_SECRET_ACCESS_KEY", default="") or None
PRESIGNED_URL_SECONDS = env.int("PRESIGNED_URL_SECONDS", default=300)
BLOB_CACHE_MB = env.int("BLOB_CACHE_MB", default=512)

# --- the API
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=8_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=25_000_000)
MAX_ASSET_BYTES = env.int("MAX_ASSET_BYTES", default=10_000_000)
MAX_ASSETS = env.int("MAX_ASSETS", default=1000)
MAX_ASSETS_BYTES = env.int("MAX_ASSETS_BYTES", default=1_000_000_000)
MAX_FONT_BYTES = env.int("MAX_FONT_BYTES", default=20_000_000)
MAX_FONTS = env.int("MAX_FONTS", default=100)
MAX_FONTS_BYTES = env.int("MAX_FONTS_BYTES", default=50_000_000)
MAX_DOCX_BYTES = env.int("MAX_DOCX_BYTES", default=10_000_000)
MAX_ZIP_BYTES = env.int("MAX_ZIP_BYTES", default=10_000_000)
MAX_SOURCE_BYTES = env.int("MAX_SOURCE_BYTES", default=1_000_000)
SYNC_WAIT_SECONDS = env.float("SYNC_WAIT_SECONDS", default=30)
WEB_THREADS = env.int("WEB_THREADS", default=256)
SYNC_WAITERS = env.int("SYNC_WAITERS", default=max(1, WEB_THREADS - 32))  # the rest answers other requests
# Of one team; 0 is no limit. docs/limits.md
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", default=6000)
RUNNING_RENDERS_PER_TEAM = env.int("RUNNING_RENDERS_PER_TEAM", default=8)
SYNC_WAITERS_PER_TEAM = env.int("SYNC_WAITERS_PER_TEAM", default=64)
DEFAULT_MONTHLY_CREDITS = env.int("DEFAULT_MONTHLY_CREDITS", default=1000)

# --- calls to servers that users name: public addresses on ports 80 and 443 by https, and what is allowed here
OUTBOUND_ALLOW_HTTP = env.bool("OUTBOUND_ALLOW_HTTP", default=False)
OUTBOUND_ALLOW_CIDRS = [cidr.strip() for cidr in env.list("OUTBOUND_ALLOW_CIDRS", default=[])]
try:
    [ip_network(cidr) for cidr in OUTBOUND_ALLOW_CIDRS]
except ValueError as error:
    raise ImproperlyConfigured(f"OUTBOUND_ALLOW_CIDRS must list networks such as 10.0.0.0/8: {error}.") from error
REMOTE_IMAGE_SECONDS = env.float("REMOTE_IMAGE_SECONDS", default=10)
MAX_REMOTE_IMAGE_BYTES = env.int("MAX_REMOTE_IMAGE_BYTES", default=10_000_000)
REMOTE_IMAGE_CACHE_SECONDS = env.float("REMOTE_IMAGE_CACHE_SECONDS", default=300)
WEBHOOK_SECONDS = env.float("WEBHOOK_SECONDS", default=15)
WEBHOOK_CALLS_PER_RECEIVER = env.int("WEBHOOK_CALLS_PER_RECEIVER", default=5)
WEBHOOK_CALLS_PER_TEAM = env.int("WEBHOOK_CALLS_PER_TEAM", default=20)
WEBHOOK_CALLS_PER_PROCESS = env.int("WEBHOOK_CALLS_PER_PROCESS", default=250)
WEBHOOK_RETENTION_DAYS = env.int("WEBHOOK_RETENTION_DAYS", default=30)
for _name in ("CALLS_PER_RECEIVER", "CALLS_PER_TEAM", "CALLS_PER_PROCESS", "RETENTION_DAYS"):
    if vars()[f"WEBHOOK_{_name}"] < 1:
        raise ImproperlyConfigured(f"WEBHOOK_{_name} must be at least 1.")

# The home page shows the demo team's documents: for `make run`, not for a server with customers.
SHOW_DEMO_DOCUMENTS = env.bool("SHOW_DEMO_DOCUMENTS", default=False)

# --- rendering
AUTOMETTE_UNSAFE_RENDERER = env.bool("AUTOMETTE_UNSAFE_RENDERER", default=False)
ENGINE_CHILDREN = env.int("ENGINE_CHILDREN", default=2)
TYPST_SECONDS = env.float("TYPST_SECONDS", default=25)
TYPST_MEMORY_MB = env.int("TYPST_MEMORY_MB", default=1024)
DOCX_SECONDS = env.float("DOCX_SECONDS", default=25)
DOCX_MEMORY_MB = env.int("DOCX_MEMORY_MB", default=2048)
# After the fonts that come with the installation; what is not there is passed over.
FONT_PATHS = [
    Path(folder)
    for folder in env("FONT_PATHS", default="/usr/share/fonts:/usr/local/share/fonts").split(":")
    if folder.strip()
]
TYPST_PACKAGE_PATH = env("TYPST_PACKAGE_PATH", default="") or None
LEASE_SECONDS = env.float("LEASE_SECONDS", default=6)
if LEASE_SECONDS < 4:  # noqa: PLR2004 (the permission to upload ends a second before the lease, in whole seconds)
    raise ImproperlyConfigured("LEASE_SECONDS must be at least 4.")
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=1)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["automette.throttling.TeamThrottle"],
    "DEFAULT_PARSER_CLASSES": ["automette.lib.http.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "automette.lib.http.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "COMPACT_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Automette API",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "TAGS": [
        {"name": "Renders", "description": "Documents and pictures made from a template and data."},
        {"name": "Jobs", "description": "Requests, and the renders that each of them caused."},
        {"name": "Templates", "description": "What documents look like, in numbered versions."},
        {"name": "Assets", "description": "Files that templates use: pictures, data, further sources."},
        {"name": "Fonts", "description": "Fonts that templates may name."},
        {"name": "Webhooks", "description": "Addresses that are told of events, and what became of each delivery."},
        {"name": "On-demand", "description": "Signed URLs that show a template with some data, without a key."},
        {"name": "Credits", "description": "What the team may still render, and where its credits went."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "persistAuthorization": True,
        "tryItOutEnabled": True,
        "displayRequestDuration": True,
        "deepLinking": True,
        "validatorUrl": None,  # else a badge from another server
    },
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "JobSourceEnum": "renders.models.Job.Source",
        "StatusEnum": "renders.models.Render.Status",
        "DeliveryStatusEnum": "webhooks.models.Delivery.Status",
        "EventNameEnum": "webhooks.models.EventName",
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "automette.openapi_document.complete",
    ],
}

# --- logging: one line of JSON per event on stderr; constant phrases, ids as keywords, never data or secrets
LOG_LEVEL = env("LOG_LEVEL", default="INFO")
_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared_processors,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [*_shared_processors, structlog.processors.format_exc_info],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
    },
}
