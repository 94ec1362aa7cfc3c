"""The one exception for mistakes in what a user gave."""


class InputError(ValueError):
    """What was given cannot be worked with; the message says what to do about it.

    The command line prints the message alone, without a traceback, so it has to name
    what was expected, what came, and the remedy.
    """
