"""Which devices JAX computes on, and why not on others that the machine has."""

import glob
import importlib.util
import logging
from typing import Any, NamedTuple, cast

import jax

from tfvis_jax.errors import InputError

# Files of drivers; the last two are those of containers and of WSL.
_NVIDIA = ("/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/dxg")
_AMD = ("/dev/kfd",)
_TPU, _NEWER_TPU = ("/dev/accel[0-9]*",), ("/dev/vfio/[0-9]*",)
_JAX_LOGGER = "jax._src.xla_bridge"


class Devices(NamedTuple):
    """The devices of all processes.

    Attributes:
      platform: "cpu", "gpu" or "tpu".
      kind: as the maker calls it; "cpu" for any CPU.
      number: how many there are.
      fallback: why the CPU is used although there is an accelerator; None if it is not.
    """

    platform: str
    kind: str
    number: int
    fallback: str | None

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind != self.platform else ""
        return f"{self.number} × {self.platform}{kind}"

    def as_json(self) -> dict[str, Any]:
        """Returns the devices as in a report."""
        found = self._asdict()
        if self.fallback is None:
            del found["fallback"]
        return found


def find() -> Devices:
    """Returns the devices of all processes, and starts them where nobody did yet.

    Raises:
      InputError: the platform that JAX is told to use does not work.
    """
    asked = _asked()
    said = _Listener()
    with said:
        try:
            found = jax.devices()
        # JAX skips CUDA where it sees no GPU; if it may use nothing else, an assertion
        # of its own fails.
        except (RuntimeError, AssertionError) as error:
            raise _not_working(asked, str(error)) from error
    platform = found[0].platform
    fallback = _fallback(asked, " ".join(said.messages)) if platform == "cpu" else None
    return Devices(platform, found[0].device_kind, len(found), fallback)


def _asked() -> str | None:
    """Returns the platforms that JAX_PLATFORMS or a call has named."""
    # Not among the types of `jax.config`.
    return cast(Any, jax.config).jax_platforms


def _not_working(asked: str | None, reason: str) -> InputError:
    reason = reason.partition(" (set JAX_PLATFORMS")[0].strip() or "no such device"
    reason = " ".join(reason.split())[:300].rstrip(".")
    install = (
        "pip install 'tfvis_jax[gpu]' or 'tfvis_jax[tpu]' brings what GPUs and TPUs "
        "need"
    )
    if asked:
        return InputError(
            f"JAX cannot use the devices that JAX_PLATFORMS={asked} asks for ({reason})"
            f". Unset it to use what is there, or set it to cpu; {install}."
        )
    return InputError(
        f"JAX cannot start a device ({reason}). Set JAX_PLATFORMS=cpu to use the CPU; "
        f"{install}."
    )


def _fallback(asked: str | None, said: str) -> str | None:
    """Returns why the CPU is used where something else was there or asked for."""
    first = (asked or "").partition(",")[0].strip()
    if first == "cpu":
        return None
    reason = f" ({said.rstrip('.')})" if said else ""
    if first:
        return (
            f"JAX_PLATFORMS={asked} asks for {first} first, but the CPU is used: no "
            f"such device was found{reason}."
        )
    for name, extra, is_there in (
        ("an NVIDIA GPU", "gpu", _exists(*_NVIDIA)),
        ("a TPU", "tpu", _exists(*_TPU) or _has_newer_tpu()),
        ("an AMD GPU", None, _exists(*_AMD)),
    ):
        if is_there:
            remedy = f" pip install 'tfvis_jax[{extra}]' brings what it needs;"
            return (
                f"The CPU is used although this machine seems to have {name}{reason}."
                f"{remedy if extra else ''} JAX_PLATFORMS=cpu stops this notice."
            )
    return None


def _exists(*patterns: str) -> bool:
    return any(glob.glob(pattern) for pattern in patterns)


def _has_newer_tpu() -> bool:
    # Other devices that are passed through to a machine have such files too.
    return _exists(*_NEWER_TPU) and importlib.util.find_spec("libtpu") is not None


class _Listener(logging.Handler):
    """Hears in its block why JAX uses no accelerator, even where logs are disabled."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(" ".join(record.getMessage().split()))

    def __enter__(self) -> None:
        self._logger = logging.getLogger(_JAX_LOGGER)
        self._before = self._logger.manager.disable, self._logger.propagate
        logging.disable(logging.NOTSET)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        disabled, self._logger.propagate = self._before
        logging.disable(disabled)
