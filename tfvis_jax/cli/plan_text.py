"""A plan as JSON and as lines of text."""

from typing import Any

from tfvis_jax.planning import plan as plan_lib
from tfvis_jax.planning import timing

_MIB, _GIB = 2**20, 2**30
# Smaller exchanges are of one number a row or a factor.
_LARGE = 2**16
_LOOPS = {0: "once", 1: "each check", 2: "each solver step"}
_MEANING = {
    "weights": "weights of the encoder",
    "dictionary": "dictionary",
    "update_state": "state of its update",
    "hidden_states": "hidden states of a batch",
    "rows": "rows of a step",
    "codes": "codes in flight",
    "encoder_buffers": "inside the encoder",
    "first_factors": "first factors being made",
}


def document(
    planned: plan_lib.Plan,
    *,
    total_rows: float | None,
    stored_token: int,
    num_tokens: int | None,
    measured: timing.Measured | None,
    time: timing.Time | None,
    compiled: dict[str, Any] | None,
) -> dict[str, Any]:
    """Returns the plan as a JSON document.

    Args:
      planned: the plan.
      total_rows: of the whole run, if known.
      stored_token: bytes of a token's hidden states, where they are stored.
      num_tokens: of the text, padding included, if known.
      measured: a run that was measured, if one was.
      time: how long this run takes, if one was measured.
      compiled: what XLA says, if it was asked.
    """
    work = planned.work
    devices = planned.mesh.data * planned.mesh.factor
    result = {
        "schema": "tfvis-plan/1",
        "mesh": planned.mesh._asdict(),
        "solver": planned.solver,
        "bytes": planned.memory._asdict() | {"peak": planned.memory.peak},
        "device_memory": planned.device_memory,
        "fits": planned.fits and not _is_refused(compiled),
        "rows": planned.rows,
        "most_rows": planned.most_rows,
        "solver_steps": planned.solver_steps,
        "step": work._asdict() | {"flops": work.flops},
        "stored_token": stored_token,
        "compiled": compiled,
    }
    if num_tokens:
        result["stored"] = stored_token * num_tokens
    if total_rows:
        result["total_rows"] = total_rows
        result["total_flops"] = total_rows / planned.rows * work.flops * devices
    if measured and time:
        result["measured"] = {"run": str(measured.path)} | measured.rate._asdict()
        time = timing.DOES_NOT_FIT if _is_refused(compiled) else time
        result["time"] = time._asdict()
        if total_rows and time.seconds_per_row is not None:
            result["seconds"] = total_rows * time.seconds_per_row
    return result


def _is_refused(compiled: dict[str, Any] | None) -> bool:
    """Returns whether XLA could not compile a program for these devices."""
    programs = compiled["programs"].values() if compiled else ()
    return any(isinstance(program, str) for program in programs)


def text(document: dict[str, Any]) -> str:
    """Returns a document as lines of text."""
    mesh = document["mesh"]
    devices = mesh["data"] * mesh["factor"]
    lines = [
        f"{devices} {mesh['platform']} device{'s' * (devices > 1)} "
        f"(data={mesh['data']}, factor={mesh['factor']}), solver {document['solver']}",
        "",
        "memory per device, MiB",
    ]
    for name, meaning in _MEANING.items():
        lines.append(f"  {meaning:<26} {document['bytes'][name] / _MIB:>12,.1f}")
    lines.append(f"  {'peak':<26} {document['bytes']['peak'] / _MIB:>12,.1f}")
    lines += ["", _verdict(document), "", *_work(document), *_total(document)]
    lines += ["", _stored(document)]
    if document["compiled"]:
        lines += ["", *_compiled(document["compiled"])]
    return "\n".join(lines)


def _verdict(document: dict[str, Any]) -> str:
    have = document["device_memory"]
    if have is None:
        return "fits: unknown; give the memory of a device as --device_memory"
    most = document["most_rows"]
    remedy = (
        f"; up to {most:,} rows a step would" if most else "; no number of rows would"
    )
    return (
        f"{'fits' if document['fits'] else 'does not fit'} the {have / _GIB:,.2f} GiB "
        f"of a device{remedy}"
    )


def _work(document: dict[str, Any]) -> list[str]:
    step = document["step"]
    exchanged = step["exchanged_rows"] + step["exchanged_gradient"]
    return [
        f"a dictionary step of {document['rows']:,} rows, with "
        f"{document['solver_steps']:,.1f} solver steps, on each device",
        f"  {'encoder, GFLOP':<26} {step['encoder_flops'] / 1e9:>12,.1f}",
        f"  {'codes, GFLOP':<26} {step['solver_flops'] / 1e9:>12,.1f}",
        f"  {'dictionary, GFLOP':<26} {step['update_flops'] / 1e9:>12,.1f}",
        f"  {'exchanged, MiB':<26} {exchanged / _MIB:>12,.1f}",
    ]


def _total(document: dict[str, Any]) -> list[str]:
    lines = []
    if "total_rows" in document:
        lines += [
            "",
            f"the whole run: {document['total_rows']:,.0f} rows, "
            f"{document['total_flops']:.2g} FLOP over all devices",
        ]
    return [*lines, "", *_time(document)]


def _time(document: dict[str, Any]) -> list[str]:
    if "measured" not in document:
        return ["time: unknown; --measured=RUN takes it from a run"]
    rate, time = document["measured"], document["time"]
    if time["times_the_work"] is None:
        return [f"time: unknown; {rate['run']} was measured, but {time['reason']}"]
    per_second = rate["rows"] / rate["seconds"]
    lines = [
        f"measured: {per_second:,.0f} rows a second in {rate['run']}",
        f"  ({rate['rows']:,} rows in {rate['seconds']:,.0f} s, on the devices of that "
        "run)",
    ]
    if time["reason"]:
        lines += [
            f"scaled: {per_second / time['times_the_work']:,.0f} rows a second, as "
            f"{time['reason']}",
            f"  (a row takes {time['times_the_work']:.3g} times the work; a rough "
            "estimate, as if every FLOP took as long)",
        ]
    if "seconds" in document:
        minutes = document["seconds"] / 60
        said = f"{minutes:.1f} minutes"
        if minutes >= 60:
            said = f"{minutes / 60:,.2f} hours"
        lines.append(f"at that rate the whole run takes {said}")
    return lines


def _stored(document: dict[str, Any]) -> str:
    found = document.get("stored")
    text = "" if found is None else f", {found / 1e9:,.2f} GB for this text"
    return (
        "hidden states on disk, if `tfvis hidden_states` stores them:\n  "
        f"{document['stored_token'] / 1000:,.1f} kB a token{text}"
    )


def _compiled(compiled: dict[str, Any]) -> list[str]:
    lines = [f"compiled for {compiled['topology']}; loops counted once"]
    for name, figures in compiled["programs"].items():
        if isinstance(figures, str):
            lines.append(f"  {name}: XLA refuses it: {figures}")
            continue
        held = ("arguments", "results", "temporary", "code")
        peak = sum(figures[part] for part in held)
        lines.append(
            f"  {name}: {peak / _MIB:,.0f} MiB a chip ("
            + ", ".join(f"{part} {figures[part] / _MIB:,.0f}" for part in held)
            + f"), {figures['flops'] / 1e9:,.1f} GFLOP, "
            f"{figures['traffic'] / _GIB:,.2f} GiB read and written"
        )
        small = 0
        for each in figures["collectives"]:
            if each["num_bytes"] < _LARGE:
                small += 1
                continue
            rare = ", when factors are revived" if each["conditional"] else ""
            lines.append(
                f"    {each['kind']} of {each['num_bytes'] / _MIB:,.1f} MiB, "
                f"{_LOOPS.get(each['loops'], 'in loops')}{rare}"
            )
        lines.append(f"    and {small} exchanges of less than 64 KiB")
    return lines
