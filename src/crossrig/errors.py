"""The one exception whose message is meant for the person at the keyboard."""

from __future__ import annotations


class UserError(Exception):
    """Bad input from outside: the message is one sentence that says what is wrong, where, and how to fix it.

    The command line prints the message and exits with status 2; the library lets it travel.
    """
