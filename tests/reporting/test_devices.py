"""The devices, and why JAX uses no others."""

import logging

import jax
import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.reporting import devices

XLA = logging.getLogger(devices._JAX_LOGGER)


class _Device:
    def __init__(self, platform, device_kind):
        self.platform, self.device_kind = platform, device_kind


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends what JAX finds, which files exist, and what JAX is told to use."""

    def pretend(found, *, files=(), asked=None, warning=None):
        def start():
            if warning is not None:
                XLA.warning(warning)
            if isinstance(found, Exception):
                raise found
            return found

        for name in ("_NVIDIA", "_TPU", "_NEWER_TPU", "_AMD"):
            (path := tmp_path / name).unlink(missing_ok=True)
            if name in files:
                path.write_text("")
            monkeypatch.setattr(devices, name, (str(path),))
        monkeypatch.setattr(jax, "devices", start)
        monkeypatch.setattr(devices, "_asked", lambda: asked)

    return pretend


def test_devices_are_said_with_platform_kind_and_number(machine):
    found = devices.find()
    assert str(found) == f"{jax.device_count()} × cpu"
    assert found.as_json() == {
        "platform": "cpu",
        "kind": "cpu",
        "number": jax.device_count(),
    }
    machine([_Device("gpu", "NVIDIA H100 80GB HBM3")] * 2, files=("_NVIDIA",))
    assert str(devices.find()) == "2 × gpu (NVIDIA H100 80GB HBM3)"
    assert devices.find().fallback is None


@pytest.mark.parametrize(
    ("file", "said"),
    [("_NVIDIA", "an NVIDIA GPU"), ("_TPU", "a TPU"), ("_AMD", "an AMD GPU")],
)
def test_an_accelerator_that_is_not_used_is_said(machine, file, said):
    machine([_Device("cpu", "cpu")], files=(file,), warning="CUDA failed\n at 35")
    # As the command line does; JAX's own warning is then not printed.
    logging.disable(logging.ERROR)
    try:
        found = devices.find()
        assert XLA.manager.disable == logging.ERROR
    finally:
        logging.disable(logging.NOTSET)
    assert said in found.fallback and "(CUDA failed at 35)." in found.fallback
    assert found.as_json()["fallback"] == found.fallback
    machine([_Device("cpu", "cpu")], files=(file,), asked="cpu")
    assert devices.find().fallback is None
    machine([_Device("cpu", "cpu")])
    assert devices.find().fallback is None


def test_files_of_other_devices_are_not_taken_for_a_tpu(machine, monkeypatch):
    machine([_Device("cpu", "cpu")], files=("_NEWER_TPU",))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    assert devices.find().fallback is None
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: name)
    assert "a TPU" in devices.find().fallback


def test_a_first_choice_that_was_not_found_is_said(machine):
    machine([_Device("cpu", "cpu")], asked="cuda,cpu")
    assert "asks for cuda first" in devices.find().fallback


@pytest.mark.parametrize(
    ("error", "asked", "message"),
    [
        # What JAX 0.10 raises for cuda, and for what it does not know.
        (
            AssertionError(),
            "cuda",
            "JAX_PLATFORMS=cuda .*no such device.*jax.gpu",
        ),
        (
            RuntimeError("Unable to start backend 'x': no. (set JAX_PLATFORMS='')"),
            "x",
            r"JAX_PLATFORMS=x asks for \(Unable to start backend 'x': no\)\. Unset",
        ),
        (RuntimeError("Unable to initialize"), None, "Set JAX_PLATFORMS=cpu"),
    ],
)
def test_devices_that_do_not_start_are_a_sentence(machine, error, asked, message):
    machine(error, asked=asked)
    with pytest.raises(InputError, match=message):
        devices.find()
