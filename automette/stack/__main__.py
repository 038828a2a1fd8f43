"""`python -m automette.stack exec|run|demo`; see `--help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from automette.stack.children import die_with_parent
from automette.stack.data_directory import default_path
from automette.stack.errors import StackError
from automette.stack.execute import execute
from automette.stack.supervisor import supervise


def main(arguments: list[str]) -> int:
    """Exit code of the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m automette.stack", description=__doc__)
    parser.add_argument(
        "--die-with-parent",
        action="store_true",
        help="stop when the program that started this one ends, even by SIGKILL",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run_in_stack = commands.add_parser("exec", help="run a command with the missing servers around it")
    place = run_in_stack.add_mutually_exclusive_group()
    place.add_argument(
        "--temporary", action="store_true", help="with empty servers, whose data is removed at the end"
    )
    place.add_argument(
        "--data", type=Path, metavar="DIR", help="data directory (default: AUTOMETTE_DATA, else .local)"
    )
    run_in_stack.add_argument("argv", nargs="+", metavar="-- COMMAND ARGUMENT")
    commands.add_parser("run", help="start servers and application, render samples, serve until Ctrl-C")
    commands.add_parser("demo", help="the same, then stop; exit code 1 if a sample could not be rendered")
    options = parser.parse_args(arguments)
    if options.die_with_parent:
        die_with_parent(os.getppid(), signal.SIGTERM)
    try:
        if options.command != "exec":
            return supervise(stay=options.command == "run")
        path = None if options.temporary else (options.data or default_path()).absolute()
        return execute(options.argv, path=path)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
