"""How large what is measured is, on an accelerator and on a CPU."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """How large everything is.

    Attributes:
      models: BERTs, the larger first.
      parity: d_model, and factors with and without a Gram matrix.
      parity_rows: rows that are compared.
      product: rows of the matrices whose product is the peak.
      memory: bytes of the array that the memory's peak is measured on.
      d_model: of problems.
      gram: factors at which both forms of a step are compared.
      factors: other numbers of factors, growing; the first is that of batches.
      rows: rows of a solve; then others.
      windows: windows of a pass; then others.
      length: tokens of a window.
    """

    models: tuple[str, ...]
    parity: tuple[int, int, int]
    parity_rows: int
    product: int
    memory: int
    d_model: int
    gram: int
    factors: tuple[int, ...]
    rows: tuple[int, ...]
    windows: tuple[int, ...]
    length: int


FULL = Sizes(
    models=("BERT-base", "MiniLM"),
    parity=(384, 512, 1024),
    parity_rows=32,
    product=8192,
    memory=2**30,
    d_model=768,
    gram=1024,
    factors=(16384, 4096, 65536, 131072),
    rows=(2048, 512, 32768, 8192),
    windows=(64, 512, 16),
    length=64,
)
SMALL = Sizes(
    models=("tiny",),
    parity=(16, 20, 40),
    parity_rows=8,
    product=128,
    memory=2**20,
    d_model=32,
    gram=40,
    factors=(40,),
    rows=(64,),
    windows=(8,),
    length=8,
)
