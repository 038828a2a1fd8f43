"""The runtime directory of one pool: a slot per child, and copies of what a child could not read in its own place.

It lies in a folder that every user may pass through, because children run as users of their own. A lock that is held
for as long as the pool or its zygote lives tells a directory in use from one left over by a machine that was killed.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from workers.engines.needs import FONTS, ROOT, SCRATCH

PREFIX = "automette-engine-"
_LOCK = "lock"
_NEEDED_BYTES = 512 << 20
_YOUNG_SECONDS = 60
_FONT_SUFFIXES: Final = {
    b"\x00\x01\x00\x00": ".ttf",
    b"true": ".ttf",
    b"OTTO": ".otf",
}
_SUFFIXES: Final = frozenset({".ttf", ".otf", ".ttc", ".otc"})
_OPEN_FOLDER = stat.S_IROTH | stat.S_IXOTH


class RuntimeDirectory:
    """Make the directory and hold its lock. `base` defaults to memory (/dev/shm) when there is room, else to disk."""

    def __init__(self, base: Path | None = None) -> None:
        base = _pick_base() if base is None else base
        _remove_left_over(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self.path.chmod(0o711)
        self.lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        _make(self.path / "slots", 0o711)
        self.empty = self.path / "empty"
        _make(self.empty, 0o755)

    def offer(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Give each path back, or a copy of it in here if another user could not read it where it is."""
        return tuple(path if _is_open_to_all(path) else self._copy(path, n) for n, path in enumerate(paths))

    def line_up_fonts(self, paths: Sequence[Path]) -> Path:
        """A folder with a link to each font below `paths`, each in a folder of its own, in one order everywhere."""
        folder = self.path / FONTS
        _make(folder, 0o755)
        files = [file for path in paths for file in sorted(path.rglob("*")) if file.suffix.lower() in _SUFFIXES]
        for number, file in enumerate(files):
            _make(folder / f"{number:05d}", 0o755)
            (folder / f"{number:05d}" / file.name).symlink_to(file)
        return folder

    def _copy(self, source: Path, number: int) -> Path:
        target = self.path / f"copy-{number}" / source.name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        else:
            target.parent.mkdir()
            shutil.copy(source, target)
        for folder, _, files in os.walk(target.parent):
            Path(folder).chmod(0o755)
            for name in files:
                Path(folder, name).chmod(0o444)
        return target

    def remove(self) -> None:
        """Remove everything. Doing it twice, or after the zygote did it, is fine."""
        with contextlib.suppress(OSError):
            os.close(self.lock)
        shutil.rmtree(self.path, ignore_errors=True)


class Slot:
    """The folder of one child: `root/` holds the files of its present job and is all that a template can see.

    `fonts/` holds the fonts of the child's team. Only the pool writes to these; the child owns nothing in them, so
    neither links nor changed files can appear. `scratch/` is the child's own, where its engine needs to write.
    """

    def __init__(
        self, runtime: Path, number: int, uid: int | None, *, fonts: Sequence[Path] = (), scratch: bool = False
    ) -> None:
        self.path = runtime / "slots" / str(number)
        self.root = self.path / ROOT
        self._uid = uid
        self._digest = b""
        _make(self.path, 0o750)
        _make(self.root, 0o755)
        try:
            if fonts:
                lay_out_fonts(self.path / FONTS, fonts)
        except OSError:  # one of them has gone
            self.remove()
            raise
        if scratch:
            _make(self.path / SCRATCH, 0o700)
        if uid is not None:
            os.chown(self.path, 0, uid)
            if scratch:
                os.chown(self.path / SCRATCH, uid, uid)

    def put(self, files: Mapping[str, bytes | Path], digest: bytes) -> None:
        """Replace what lies in `root/`, unless it is the same already. Paths have been checked by the caller."""
        if digest == self._digest:
            return
        self._digest = b""
        for entry in list(self.root.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for name, content in files.items():
            path = self.root / PurePosixPath(name)
            for folder in reversed(path.relative_to(self.root).parents[:-1]):
                if not (self.root / folder).is_dir():
                    _make(self.root / folder, 0o755)
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
            path.chmod(0o444)
        self._digest = digest

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def lay_out_fonts(folder: Path, fonts: Iterable[Path]) -> None:
    """Copy font files below a new folder so that every program meets them in the order given.

    Each file gets a folder of its own, as `font_folders` explains. What does not begin as a TTF or OTF is left out.
    """
    _make(folder, 0o755)
    for number, font in enumerate(fonts):
        content = font.read_bytes()
        suffix = _FONT_SUFFIXES.get(content[:4])
        if suffix:
            place = folder / f"{number:04d}"
            _make(place, 0o755)
            (place / f"font{suffix}").write_bytes(content)
            (place / f"font{suffix}").chmod(0o444)


def _make(folder: Path, mode: int) -> None:
    """Make a folder with exactly this mode, whatever the umask is."""
    folder.mkdir()
    folder.chmod(mode)


def _pick_base() -> Path:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made below it
    with contextlib.suppress(OSError):
        if os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= _NEEDED_BYTES:
            return memory
    return Path(tempfile.gettempdir())


def _is_open_to_all(path: Path) -> bool:
    """Whether any user may read this file, or everything below this folder."""
    path = path.resolve()
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents):
        return False
    for folder, _, files in os.walk(path):
        if Path(folder).stat().st_mode & _OPEN_FOLDER != _OPEN_FOLDER:
            return False
        if not all(Path(folder, name).stat().st_mode & stat.S_IROTH for name in files):
            return False
    return path.is_dir() or bool(path.stat().st_mode & stat.S_IROTH)


def _remove_left_over(base: Path) -> None:
    """Remove directories of pools that no longer live: whoever gets their lock is the only one who cares.

    A young directory is left alone, since its owner may be about to take the lock.
    """
    for path in base.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):  # just being removed by somebody else
            found = path.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG_SECONDS:
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
