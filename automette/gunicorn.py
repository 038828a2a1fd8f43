"""Gunicorn's settings: one process with many threads, because a waiting sync render only occupies a thread."""

import os

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "256"))
timeout = 60
graceful_timeout = 10
keepalive = 75
limit_request_line = 8190  # signed URLs reach 8,000 characters
accesslog = None  # one structured line per request is logged by the application
control_socket_disable = True  # it would lie in the home folder, shared by every instance of the user
