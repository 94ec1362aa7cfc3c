"""What a subcommand is: its name, its flags and the function that runs it."""

import dataclasses
import difflib
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

# Of the commands that compile programs.
CACHE_FLAG = "compilation_cache"


class UsageError(Exception):
    """The command line itself is wrong; ends with exit code 2."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand of `tfvis`.

    Attributes:
      name: as typed.
      usage: what follows the name, such as `RUN [--flags]`.
      description: a paragraph for `--help`.
      flags: the flags that it takes, and no others.
      run: called with the positional arguments; raises on failure. Returns the exit
        code where it tells something, None for 0.
    """

    name: str
    usage: str
    description: str
    flags: flags.FlagValues
    run: Callable[[Sequence[str]], int | None]

    def help(self) -> str:
        """Returns the text of `tfvis NAME --help`."""
        lines = [
            f"usage: tfvis {self.name} {self.usage}",
            "",
            textwrap.fill(self.description, 79),
            "",
            "flags:",
        ]
        for name in sorted(self.flags):
            flag = self.flags[name]
            lines.append(f"  {_spelling(flag)}")
            lines.append(
                textwrap.fill(
                    f"{_help(flag)}{_default(flag)}",
                    79,
                    initial_indent=_INDENT,
                    subsequent_indent=_INDENT,
                    break_on_hyphens=False,
                )
            )
        return "\n".join(lines)

    def parse(self, arguments: Sequence[str]) -> list[str]:
        """Reads the flags; returns the positional arguments.

        Raises:
          UsageError: an unknown flag, or a value that a flag does not take.
        """
        # A second call in one process starts from the defaults again.
        for name in self.flags:
            self.flags[name].unparse()
        try:
            return self.flags([f"tfvis {self.name}", *arguments])[1:]
        except flags.UnrecognizedFlagError as error:
            raise UsageError(self._unknown(error.flagname)) from error
        except flags.Error as error:
            message = str(error).replace(_NO_INTEGER, "expected a whole number, got")
            raise UsageError(message[:1].upper() + message[1:]) from error

    def _unknown(self, typed: str) -> str:
        """Returns what is said of a flag that there is not."""
        spelled = {_letters(name): name for name in self.flags}
        spelled |= {
            _letters(f"no{name}"): f"no{name}"
            for name in self.flags
            if self.flags[name].boolean
        }
        near = difflib.get_close_matches(_letters(typed), spelled, n=1, cutoff=0.7)
        hint = f" Did you mean --{spelled[near[0]]}?" if near else ""
        return f"There is no flag --{typed}.{hint}"


def new_flags(*, compiles: bool = False) -> flags.FlagValues:
    """Returns the flags that every command takes.

    Args:
      compiles: if True, also --compilation_cache, of commands that run the model.
    """
    values = flags.FlagValues()
    if compiles:
        flags.DEFINE_string(
            CACHE_FLAG,
            None,
            "Folder that keeps compiled programs for the next command, or off. "
            "(default: the one that `tfvis cache` shows)",
            flag_values=values,
        )
    flags.DEFINE_bool(
        "debug", False, "Show the traceback of an error.", flag_values=values
    )
    flags.DEFINE_bool("help", False, "Show this text.", flag_values=values)
    return values


# What Python says of it.
_NO_INTEGER = "invalid literal for int() with base 10:"
_INDENT = " " * 6


def _letters(name: str) -> str:
    """Returns the name of a flag without what stands between its words."""
    return name.replace("-", "").replace("_", "").lower()


def _spelling(flag: flags.Flag[Any]) -> str:
    """Returns a flag as typed, with what it takes."""
    if flag.boolean:
        return f"--{flag.name}" if flag.default is False else f"--[no]{flag.name}"
    if isinstance(flag, flags.EnumFlag):
        return f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
    takes: dict[type, str] = {flags.IntegerParser: "N", flags.FloatParser: "X"}
    return f"--{flag.name}={takes.get(type(flag.parser), '…')}"


def _help(flag: flags.Flag[Any]) -> str:
    """Returns the help of a flag; absl puts the choices before it."""
    return re.sub(r"^<[^>]*>: ", "", flag.help or "")


def _default(flag: flags.Flag[Any]) -> str:
    """Returns the default of a flag whose help does not say it."""
    if flag.default is None or isinstance(flag.default, bool) or flag.default == []:
        return ""
    value = flag.default
    return f" (default: {','.join(value) if isinstance(value, list) else value})"
