"""Callers who take a busy server's advice, as the documentation asks of them."""

import time

import requests


def post(url: str, *, body: dict, headers: dict[str, str]) -> requests.Response:
    """Send a request, and again while the answer is 503 with Retry-After: then nothing was done.

    So a server answers who waited three seconds for a connection to the database. Where many call at once on a slow
    machine, somebody does.
    """
    while True:
        answer = requests.post(url, json=body, headers=headers, timeout=100)
        if answer.status_code != 503 or "Retry-After" not in answer.headers:
            return answer
        time.sleep(int(answer.headers["Retry-After"]))
