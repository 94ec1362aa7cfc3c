"""Tables of compiled programs, from figures made up."""

import pytest

from benchmarks.compiled import tables


def _program(**fixed):
    place = {"topology": "v5e:2x4", "program": "step", "n_factors": 2**20}
    return {**place, "data": 1, "factor": 8, **fixed}


def test_a_program_stands_beside_its_formulae():
    figures = {
        "arguments": 2**20,
        "results": 2**20,
        "temporary": 5 * 2**20,
        "code": 2**20,
        "flops": 3e9,
        "collectives": [
            ["all-reduce", 3 * 2**20, 2, False],
            ["all-reduce", 6 * 2**20, 0, True],
            ["all-reduce", 4, 1, False],
        ],
    }
    refused = _program(figures="Ran out of memory\nand more")
    text = tables.programs(
        {"rows": 2048, "programs": [_program(figures=figures), refused]}
    )
    _, _, first, second = (line.split("|")[1:-1] for line in text.splitlines())
    first = [cell.strip() for cell in first]
    assert first[:5] == ["v5e:2x4", "step", "1,048,576", "data=1, factor=8", "8"]
    # 12 products of 2,048 rows, 131,072 factors and 768 dimensions.
    flops = 12 * 2 * 2048 * 131072 * 768 / 1e9
    assert first[6:8] == ["3", f"{flops:,.0f}"]
    assert first[8:] == ["all-reduce 3.0 MiB", "", "(all-reduce 6.0 MiB)"]
    assert second[4].strip() == "Ran out of memory" and len(second) == len(first)


def test_small_slices_come_first():
    refused = {"figures": "Ran out of memory"}
    programs = [
        _program(topology="v6e:2x4", **refused),
        _program(topology="v5e:16x16", data=32, **refused),
        _program(topology="v5e:2x4", **refused),
        _program(topology="v5e:2x4", data=8, factor=1, n_factors=2000, **refused),
        _program(topology="v5e:2x4", program="encoder", **refused),
    ]
    text = tables.programs({"rows": 2048, "programs": programs})
    found = [line.split(" | ")[:3] for line in text.splitlines()[2:]]
    assert found == [
        ["| v5e:2x4", "encoder", ""],
        ["| v5e:2x4", "step", "2,000"],
        ["| v5e:2x4", "step", "1,048,576"],
        ["| v5e:16x16", "step", "1,048,576"],
        ["| v6e:2x4", "step", "1,048,576"],
    ]


def test_a_prediction_counts_all_devices():
    text = tables.prediction(rows=2048, factors=[65536])
    rows = [line.split("|")[1:-1] for line in text.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == ["8", "64", "256"]
    totals = [float(row[-1]) for row in rows]
    # The same rows and codes, whoever computes them.
    assert totals == pytest.approx([totals[0]] * 3)
    # 222 products a row at 100 steps, and the encoder.
    assert totals[0] == pytest.approx(1e12 * 222 * 2 * 65536 * 768, rel=0.05)


def test_weak_scaling_is_relative_to_the_first():
    text = tables.weak_scaling(
        [
            {"devices": 1, "step_flops": 100, "exchanged": 0},
            {"devices": 2, "step_flops": 104, "exchanged": 7},
        ]
    )
    assert text.splitlines()[-1] == "| 2 | 104 (1.040) | 7 |"
