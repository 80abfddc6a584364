"""Runs the measures, prints the table, writes var/bench.json. `python -m tests.bench throughput` runs what begins so."""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import place, receiver
from tests.bench.measure import TARGETS, Measure
from tests.bench.receiver import ROOT

RESULTS = ROOT / "var" / "bench.json"


@dataclass(frozen=True)
class Group:
    """Measures that are taken together, in a process of their own."""

    measures: tuple[str, ...]
    function: str  # module:function of tests.bench, called with the receiver
    settings: str = "config.settings"
    broker: str = "redis"
    kept: bool = False  # on the database that is kept
    limit: int = 900  # seconds, after which it has failed


GROUPS = (
    Group(("throughput", "throughput_vs_task_each"), "throughput:at_once"),
    Group(("throughput_100ms",), "throughput:at_100ms"),
    Group(("throughput_batch",), "throughput:batches", settings="tests.bench.settings_batch"),
    Group(("record_ms_1", "record_ms_50"), "recording:added"),
    Group(("latency_p50_ms", "latency_p99_ms"), "latency:redis"),
    Group(("latency_p50_ms_orm", "latency_p99_ms_orm"), "latency:orm", broker="orm"),
    Group(("isolation_ratio",), "latency:isolation"),
    Group(("rss_mb",), "memory:peak"),
    Group(("claim_ms_5m",), "millions:claiming", kept=True, limit=5400),  # the first time, it fills the database
    Group(("list_ms_5m",), "millions:lists", kept=True, limit=5400),
)


class Failed(Exception):
    """A group that brought no figures; its text says why, in a sentence."""


def main(wanted: list[str]) -> int:
    """All that is wanted (everything, when nothing is named). 1 when a target was missed or something was missing."""
    chosen = [group for group in GROUPS if _is_wanted(group, wanted)]
    if not chosen:
        names = ", ".join(name for group in GROUPS for name in group.measures)
        print(f"There is no measure {' '.join(wanted)}. The measures are: {names}.", file=sys.stderr)
        return 1
    try:
        place.check()
    except place.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    RESULTS.parent.mkdir(exist_ok=True)
    measures: list[Measure] = []
    failed: list[str] = []
    for group in chosen:
        started = time.monotonic()
        print(f"measuring {', '.join(group.measures)} ...", end=" ", file=sys.stderr, flush=True)
        try:
            measures += _run(group)
        except Failed as failure:
            failed += group.measures
            print(failure, end=" ", file=sys.stderr)
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
        RESULTS.write_text(json.dumps([measure.row() for measure in measures], indent=2) + "\n")
    place.drop_database()
    print(_table(measures))
    missed = [measure.name for measure in measures if not TARGETS[measure.name].holds(measure)]
    if failed:
        print(f"\nNot measured: {', '.join(failed)}.")
    print(f"\nMissed: {', '.join(missed)}." if missed else "\nEvery target holds." if not failed else "")
    return 1 if missed or failed else 0


def _is_wanted(group: Group, wanted: list[str]) -> bool:
    return not wanted or any(name.startswith(word) for name in group.measures for word in wanted)


def _run(group: Group) -> list[Measure]:
    """This group, in a process that has the settings it needs. Raises Failed when it fails or does not end in time."""
    database = place.kept_database() if group.kept else place.fresh_database()
    with receiver.running() as running, tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "measures"
        environment = place.environment(
            database=database, receiver=running.host, settings=group.settings, broker=group.broker
        )
        command = [sys.executable, "-m", "tests.bench", "--group", group.function, running.host, str(report)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        try:
            status = process.wait(group.limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"It did not end within {group.limit} s.") from None
        finally:
            _end(process)
        if status:
            raise Failed("It failed: what it said is above.")
        rows = [json.loads(line) for line in report.read_text().splitlines()]
    return [Measure(**{**row, "range": tuple(row["range"])}) for row in rows]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Whatever became of it: it ends its cluster before itself."""
    process.terminate()
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _measure(function: str, host: str, report: str) -> None:
    """Inside the group's process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    import django

    django.setup()
    from tests.bench import world

    world.make_tables()
    module, name = function.split(":")
    measures = getattr(importlib.import_module(f"tests.bench.{module}"), name)
    with Path(report).open("w") as file:
        for measure in measures(receiver.Receiver(host)):
            file.write(json.dumps(vars(measure)) + "\n")


def _table(measures: list[Measure]) -> str:
    """For a person, in 120 columns."""
    lines = [f"{'measure':24} {'value':>9} {'unit':13} {'range':>19} {'baseline':>9} {'ratio':>7}  target"]
    for measure in measures:
        target = TARGETS[measure.name]
        low, high = measure.range
        baseline = "" if measure.baseline is None else f"{measure.baseline:g}"
        ratio = "" if measure.ratio is None else f"{measure.ratio:.3g}"
        verdict = "" if target.holds(measure) else "  MISSED"
        lines.append(
            f"{measure.name:24} {measure.value:>9g} {measure.unit:13} {f'{low:g} to {high:g}':>19} {baseline:>9} "
            f"{ratio:>7}  {target.text}{verdict}"
        )
    load = os.getloadavg()
    lines.append(
        f"\n{os.cpu_count()} cores; load over the last 1, 5, 15 minutes: {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--group"]:
            _measure(*sys.argv[2:])
        else:
            sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
