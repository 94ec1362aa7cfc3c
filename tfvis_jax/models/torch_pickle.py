"""Reads the description of tensors in a pickle, by a machine of its own.

Python's unpickler does whatever a pickle says: 10 bytes can make it allocate 2 GB, and
nested tuples as keys take it centuries to hash. This machine knows only what
`torch.save` writes for named tensors, and what it holds grows with the pickle's length.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

STORAGES = (
    "DoubleStorage",
    "FloatStorage",
    "HalfStorage",
    "BFloat16Storage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
)
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_DICT = "collections.OrderedDict"
# More than NumPy's limit, for a tensor that is refused later.
_MAX_DIMENSIONS = 64


class Storage(NamedTuple):
    """A block of numbers: its type in torch, its member of the archive, its length."""

    dtype_name: str
    key: str
    n_elements: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class ForbiddenNameError(ValueError):
    """The pickle requests a name that is not needed to describe tensors."""


class _Global(NamedTuple):
    name: str


class _Mark:
    """Where the items of a tuple or dictionary begin on the stack."""


def read(pickled: bytes) -> object:
    """Returns the object that a pickle describes, with `Tensor` in place of tensors.

    Raises:
      ForbiddenNameError: it requests a name other than those of tensors.
      ValueError: it is damaged, or holds what no state dict does.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise ValueError("the pickle has no end")


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: list[Any] = []

    def step(self, name: str, argument: Any) -> None:
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self._stack.append(argument)
        elif name in _TUPLES:
            self._stack.append(self._pop_many(_TUPLES[name]))
        elif name in _PUTS:
            self._put(len(self._memo) if argument is None else argument)
        elif name in _GETS:
            self._stack.append(self._memo[_index(argument, len(self._memo))])
        elif name == "GLOBAL":
            self._stack.append(_global(".".join(argument.split(" ", 1))))
        elif name in _ACTIONS:
            _ACTIONS[name](self)
        else:
            raise ValueError(f"{name} in a pickle of tensors")

    def pop(self) -> Any:
        if not self._stack or self._stack[-1] is _Mark:
            raise ValueError("nothing on the stack")
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items = []
        while self._stack and self._stack[-1] is not _Mark:
            items.append(self._stack.pop())
        if not self._stack:
            raise ValueError("no mark on the stack")
        self._stack.pop()
        return items[::-1]

    def stack_global(self) -> None:
        module, name = self._pop_many(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        self._stack.append(_global(f"{module}.{name}"))

    def tuple_to_mark(self) -> None:
        self._stack.append(tuple(self.pop_to_mark()))

    def list_to_mark(self) -> None:
        self._stack.append(self.pop_to_mark())

    def dict_to_mark(self) -> None:
        items = self.pop_to_mark()
        self._stack.append({})
        self._set(items)

    def set_item(self) -> None:
        self._set(self._pop_many(2))

    def set_items(self) -> None:
        self._set(self.pop_to_mark())

    def append(self) -> None:
        self._extend([self.pop()])

    def extend(self) -> None:
        self._extend(self.pop_to_mark())

    def storage(self) -> None:
        """Pushes the storage that a persistent id names."""
        match self.pop():
            case (_, _Global(name=name), str(key), _, int(n_elements)):
                dtype_name = name.removeprefix("torch.")
                if dtype_name not in STORAGES:
                    raise ValueError(f"{name} is no storage")
                self._stack.append(Storage(dtype_name, key, n_elements))
            case _:
                raise ValueError("a storage without type, key and length")

    def reduce(self) -> None:
        match self._pop_many(2):
            case (_Global(name="torch._utils._rebuild_tensor_v2"), arguments):
                self._stack.append(_tensor(arguments))
            case (
                _Global(name="torch._utils._rebuild_parameter"),
                (Tensor() as tensor, *_),
            ):
                self._stack.append(tensor)
            case (_Global(name="collections.OrderedDict"), ()):
                self._stack.append({})
            case _:
                raise ValueError("a call with other arguments than torch writes")

    def build(self) -> None:
        """Drops the attributes of a dictionary, which are its modules' versions."""
        self.pop()
        self._top(dict)

    def _set(self, items: list[Any] | tuple[Any, ...]) -> None:
        mapping = self._top(dict)
        keys = items[::2]
        # The hash of nested tuples takes time exponential in the pickle's length.
        if len(items) % 2 or not all(type(key) in (str, int) for key in keys):
            raise ValueError("a key that is neither text nor a number")
        mapping.update(zip(keys, items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _top(self, kind: type) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise ValueError(f"no {kind.__name__} on the stack")
        return self._stack[-1]

    def _pop_many(self, number: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(number)][::-1])

    def _put(self, index: object) -> None:
        """Remembers the top of the stack; indices have to be in use or the next."""
        value = self.pop()
        self._stack.append(value)
        number = _index(index, len(self._memo) + 1)
        self._memo[number : number + 1] = [value]


def _index(given: object, end: int) -> int:
    number = int(given) if isinstance(given, int | str) else -1
    if not 0 <= number < end:
        raise ValueError("an index outside the memo")
    return number


def _global(name: str) -> _Global:
    storages = [f"torch.{storage}" for storage in STORAGES]
    if name not in (_TENSOR, _PARAMETER, _DICT, *storages):
        raise ForbiddenNameError(name)
    return _Global(name)


def _tensor(arguments: object) -> Tensor:
    match arguments:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            numbers = (*shape, *strides)
            if len(numbers) <= 2 * _MAX_DIMENSIONS and all(
                type(number) is int for number in numbers
            ):
                return Tensor(storage, offset, shape, strides)
        case _:
            pass
    raise ValueError("a tensor without storage, offset, shape and strides")


_IGNORED = frozenset(("PROTO", "FRAME"))
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": lambda: _Mark,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_LITERALS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("FLOAT", "BINFLOAT"),
    )
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": _Machine.tuple_to_mark,
    "LIST": _Machine.list_to_mark,
    "DICT": _Machine.dict_to_mark,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "STACK_GLOBAL": _Machine.stack_global,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
