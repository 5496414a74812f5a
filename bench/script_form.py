"""P5: `AGI(vipex-lookup,CLIENT)`, the script, against `python3 -c pass` and `AGI(agi://.../lookup)` together.

    .venv/bin/python bench/script_form.py [--calls 200]

By Asterisk's own clock, read in the dialplan before and after; calls take the script and the URL in turn, one
call after the other. `python3 -c pass` is started by the same Python between them, as often.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import threading

from figures import Figure, add_arguments, tell
from loaded_house import AGI_URL, Calls, House, house, lookup, ms, percentile
from timed import EXTEN, MODULES, in_turn, times

CLIENTS = lookup("crm", "/lookup")
WANTED = {"agi": "OK", "script": "OK"}
WARM_UP_CALLS = 10
RATE = 5.0
GOAL = 2.0
STARTS = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], os.environ), 0)
    print(time.perf_counter() - began, flush=True)
    time.sleep(float(sys.argv[2]))
"""
"""Run by the Python that runs the scripts, which is that of Asterisk's root."""


def measure(calls: int) -> dict[str, list[float]]:
    """Seconds of each script, each AGI() by URL and each start of a Python."""
    agi = ("agi", f"AGI({AGI_URL}/lookup,crm)", "${VIPEX_STATUS}")
    script = ("script", "AGI(vipex-lookup,crm)", "${VIPEX_STATUS}")
    with house(CLIENTS, f"[from-trunk](+)\n{in_turn(agi, script)}", MODULES) as everything:
        _compile(everything)
        times(everything, Calls(WARM_UP_CALLS, RATE, "36301", EXTEN, answered_by=None), 1, WANTED)
        started: list[float] = []
        starting = threading.Thread(target=lambda: started.extend(_starts(everything, calls // 2)))
        starting.start()
        took = times(everything, Calls(calls, RATE, "36302", EXTEN, answered_by=None), 1, WANTED)
        starting.join()
        return {**took, "python": started}


def _compile(everything: House) -> None:
    """As the scripts' installing says."""
    root, folder = everything.asterisk.root, everything.asterisk.folder / "agi-bin"
    inside = "/" + str(folder.relative_to(root))
    subprocess.run(["chroot", str(root), "/usr/bin/python3", "-m", "compileall", "-q", inside], check=True)


def _starts(everything: House, count: int) -> list[float]:
    root = str(everything.asterisk.root)
    command = ["chroot", root, "/usr/bin/python3", "-c", STARTS, str(count), str(1.5 / RATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="the script form of a lookup")
    parser.add_argument("--calls", type=int, default=200, help="half of them by the script")
    add_arguments(parser)
    options = parser.parse_args()
    took = measure(10 if options.short else options.calls)
    script, agi, python = (statistics.median(took[way]) for way in ("script", "agi", "python"))
    ratio = script / (agi + python)
    against = f"python3 -c pass {ms(python)} and AGI(agi://) {ms(agi)}"
    remark = f"p99 {ms(percentile(took['script'], 99))}"
    what = "AGI(vipex-lookup), p50"
    tell([Figure("P5", what, ms(script), against, ratio, f"<= {GOAL:g} x", ratio <= GOAL, remark)], options)


if __name__ == "__main__":
    main()
