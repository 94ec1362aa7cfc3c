"""Exceptions that the command line tells in a sentence."""


class InputError(ValueError):
    """What was given cannot be worked with; the message says what to do about it.

    The command line prints the message alone, without a traceback, so it has to name
    what was expected, what came, and the remedy.
    """


class Terminated(KeyboardInterrupt):
    """The system asked this process to end, by SIGTERM.

    Like Ctrl-C it is no failure that a library should handle.
    """
