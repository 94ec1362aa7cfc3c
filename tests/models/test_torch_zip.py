"""Reading torch.save files without torch, and running nothing that they ask for."""

import collections
import io
import os
import pathlib
import pickle
import subprocess
import sys
import textwrap
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import models
from tfvis_jax.errors import InputError
from tfvis_jax.models import torch_zip


def _archive(path: pathlib.Path, pickled: bytes, **members: bytes) -> pathlib.Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return path


# What torch.save writes for {"a": tensor}: GLOBAL, persistent id, REDUCE.
def tensor_pickle(*, shape=(2, 3), strides=(3, 1), offset=0, n_elements=6) -> bytes:
    def numbers(values):
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    storage = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI%d\ntQ" % n_elements
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"I%d\n" % offset
    tensor += numbers(shape) + numbers(strides) + b"I00\n"
    return b"\x80\x02}Va\n" + tensor + b"ccollections\nOrderedDict\n)RtRs."


_SIX = np.arange(6, dtype="<f4").tobytes()


def write_archive(path, pickled, *, content=_SIX, **members):
    with zipfile.ZipFile(_archive(path, pickled, **members), "a") as archive:
        archive.writestr("archive/data/0", content)
    return path


def test_it_reads_a_hand_written_file(tmp_path):
    path = write_archive(tmp_path / "a.bin", tensor_pickle(), byteorder=b"little")
    tensors = torch_zip.read(path)
    np.testing.assert_array_equal(tensors["a"], [[0, 1, 2], [3, 4, 5]])
    path = write_archive(
        tmp_path / "b.bin", tensor_pickle(shape=(2, 2), strides=(1, 3), offset=1)
    )
    np.testing.assert_array_equal(torch_zip.read(path)["a"], [[1, 4], [2, 5]])


@pytest.mark.parametrize(
    "outside",
    [
        {"shape": (2, 4)},
        {"offset": 1},
        {"offset": -1},
        {"strides": (-3, 1)},
        {"shape": (2,)},
        {"n_elements": 7},
    ],
)
def test_a_tensor_outside_its_storage_is_refused(outside, tmp_path):
    path = write_archive(tmp_path / "a.bin", tensor_pickle(**outside))
    with pytest.raises(InputError, match="damaged or truncated"):
        torch_zip.read(path)


def test_it_reads_what_torch_saves(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    saved = collections.OrderedDict(
        plain=base,
        transposed=base.T,
        slice=base[1:, ::2],
        shared=base.view(-1)[5:9],
        expanded=base[:1].expand(3, 6),
        half=base.half(),
        bfloat16=base.bfloat16(),
        double=base.double(),
        whole=torch.arange(5),
        flags=torch.tensor([True, False]),
        scalar=torch.tensor(3.5),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(base + 1),
    )
    torch.save(saved, tmp_path / "a.bin")
    tensors = torch_zip.read(tmp_path / "a.bin")
    assert list(tensors) == list(saved)
    for name, tensor in saved.items():
        expected = tensor.detach()
        if name == "bfloat16":
            assert tensors[name].dtype == jnp.bfloat16
            expected = expected.float()
        ours = tensors[name].astype(expected.numpy().dtype)
        np.testing.assert_array_equal(ours, expected.numpy(), err_msg=name)
    assert np.shares_memory(tensors["plain"], tensors["transposed"])
    assert np.shares_memory(tensors["plain"], tensors["shared"])


def test_a_torch_checkpoint_loads_as_safetensors_does(tiny_tensors, write_folder):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    folder = write_folder(tiny_tensors)
    expected = models.load(folder, head="masked_lm").language_model
    (folder / "model.safetensors").unlink()
    # A state dict carries its modules' versions as an attribute of the dictionary.
    state = torch.nn.Linear(1, 1).state_dict()
    state.clear()
    state.update((name, torch.tensor(x)) for name, x in tiny_tensors.items())
    assert state._metadata is not None
    torch.save(state, folder / "pytorch_model.bin")
    loaded = models.load(folder, head="masked_lm").language_model
    hidden = jnp.ones((1, 2, 16))
    np.testing.assert_array_equal(loaded.logits(hidden), expected.logits(hidden))


class _Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((os.system, "touch {}"), "posix.system"),
        ((eval, "open('{}', 'w')"), "builtins.eval"),
        ((getattr, os, "sep"), "builtins.getattr"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_code_of_the_file_is_run(call, name, protocol, tmp_path):
    function, *arguments = call
    trace = tmp_path / "trace"
    arguments = [a.format(trace) if isinstance(a, str) else a for a in arguments]
    if function is getattr:
        arguments[0] = collections.OrderedDict
    pickled = pickle.dumps({"a": _Malicious(function, *arguments)}, protocol)
    path = _archive(tmp_path / "bad.bin", pickled)
    with pytest.raises(InputError, match="which is not needed") as caught:
        torch_zip.read(path)
    named = name.replace("builtins", "__builtin__") if protocol < 3 else name
    assert named in str(caught.value) and "save_pretrained" in str(caught.value)
    assert not trace.exists()


def test_a_dotted_name_reaches_nothing(tmp_path):
    # Protocol 4 may name attributes of attributes, as "OrderedDict.fromkeys".
    pickled = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    path = _archive(tmp_path / "bad.bin", pickled)
    with pytest.raises(InputError, match=r"OrderedDict\.fromkeys"):
        torch_zip.read(path)


def test_what_a_file_sets_on_a_known_name_dies_with_it(tmp_path):
    # BUILD would write attributes into whatever stands on the stack.
    altering = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}Vx\nI1\nsb."
    with pytest.raises(InputError):
        torch_zip.read(_archive(tmp_path / "bad.bin", altering))
    altering = b"\x80\x02ccollections\nOrderedDict\n(N}Vkeys\nI1\nstb."
    with pytest.raises(InputError):
        torch_zip.read(_archive(tmp_path / "worse.bin", altering))
    assert list(collections.OrderedDict(a=1).keys()) == ["a"]


def test_the_old_format_is_refused_with_the_remedy(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "old.bin"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"the old pickle format.*save_pretrained"):
        torch_zip.read(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match="got another format"):
        torch_zip.read(path)
    whole = write_archive(tmp_path / "b.bin", tensor_pickle()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or truncated"):
        torch_zip.read(path)
    path.write_bytes(whole.replace(_SIX, _SIX[::-1]))
    with pytest.raises(InputError, match="Bad CRC"):
        torch_zip.read(path)
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    path.write_bytes(b"PK" + buffer.getvalue())
    with pytest.raises(InputError, match=r"no data\.pkl"):
        torch_zip.read(path)
    for held in (b"\x80\x02]I1\na.", b"\x80\x02}Va\nI1\ns."):
        with pytest.raises(InputError, match="only named tensors"):
            torch_zip.read(_archive(path, held))
    big_endian = write_archive(path, tensor_pickle(), byteorder=b"big")
    with pytest.raises(InputError, match="Expected little-endian"):
        torch_zip.read(big_endian)


def test_a_described_tensor_cannot_be_altered_afterwards(tmp_path):
    tensor = tensor_pickle()[len(b"\x80\x02}Va\n") : -len(b"s.")]
    for state in (b"}Voffset\nI9\ns", b"(N}Voffset\nI9\nst", b"(I1\nI2\nt"):
        path = write_archive(
            tmp_path / "bad.bin", b"\x80\x02}Va\n" + tensor + state + b"bs."
        )
        with pytest.raises(InputError, match="damaged or truncated"):
            torch_zip.read(path)


def _nested_keys() -> bytes:
    # (None, None), then 40 times a pair of the same: 2^40 elements to hash.
    return b"\x80\x02}N" + b"2\x86" * 40 + b"Ns."


def _memo_doubling() -> bytes:
    pairs = b"".join(b"\x86q%ch%ch%c" % (i, i, i) for i in range(60))
    return b"\x80\x02}NN" + pairs + b"\x86Ns."


_HOSTILE = {
    "memo": b"\x80\x02Nr\x00\x00\x10\x7d.",
    "memo_as_text": b"Np4000000000\n.",
    "hash": _nested_keys(),
    "hash_by_memo": _memo_doubling(),
    "lists": b"\x80\x02" + b"(" * 10**6 + b"l" * 10**6 + b".",
    "tuples": b"\x80\x02}Va\nN" + b"\x85" * 10**6 + b"s.",
    "text_of_4_GB": b"\x80\x02X\xff\xff\xff\xff.",
    "bytes_of_exabytes": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "long_of_2_GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "digits": b"I" + b"9" * 10**5 + b"\n.",
    "no_stack": b"\x80\x02s.",
    "mark": b"\x80\x02(.",
    "get": b"\x80\x02h\x05.",
    "empty": b"",
    "zero_strides": tensor_pickle(shape=(2**31,), strides=(0,)),
    "zero_strides_in_2_d": tensor_pickle(shape=(2**20, 2**20), strides=(0, 0)),
    "many_dimensions": tensor_pickle(shape=(1,) * 10**5, strides=(0,) * 10**5),
    "empty_but_huge": tensor_pickle(shape=(0, 2**62), strides=(1, 1)),
    "huge_offset": tensor_pickle(offset=2**70),
    "huge_storage": tensor_pickle(n_elements=2**60),
}


def test_hostile_files_are_refused_within_bounds_of_memory_and_time(tmp_path):
    for name, pickled in _HOSTILE.items():
        write_archive(tmp_path / f"{name}.bin", pickled)
    with zipfile.ZipFile(tmp_path / "bomb.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(n_elements=2**26))
        archive.writestr("archive/data/0", bytes(2**28))
    # The same bytes under many names, by entries that overlap.
    whole = write_archive(
        tmp_path / "overlap.bin", tensor_pickle(), content=bytes(10**6)
    )
    with zipfile.ZipFile(whole, "a") as archive:
        entry = archive.getinfo("archive/data/0")
        archive.filelist.extend([entry] * 10**4)
        archive._didModify = True
    code = """
        import pathlib, resource, sys
        from tfvis_jax.errors import InputError
        from tfvis_jax.models import torch_zip

        def limit(kind, amount):
            resource.setrlimit(kind, (amount, amount))

        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        limit(resource.RLIMIT_AS, used * resource.getpagesize() + 2**29)
        limit(resource.RLIMIT_CPU, 60)
        for path in sorted(pathlib.Path(sys.argv[1]).glob("*.bin")):
            try:
                torch_zip.read(path)
            except InputError as error:
                assert len(str(error)) < 1000 + len(str(path)), path.name
            else:
                print("read", path.name)
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]
