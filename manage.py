#!/usr/bin/env python
"""Run a Django command, with the embedded servers when no others are configured."""

import os
import sys

from django.core.management import execute_from_command_line

from automette.stack import StackError, environment


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
    try:
        with environment():
            execute_from_command_line(sys.argv)
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
