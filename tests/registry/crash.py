"""Adds stamps to a registry in processes that are killed at random; run by test_crash.py.

    python crash.py FILE ROUNDS SEED

Each round a process adds and removes designs, and says so when the registry said it was done; it is
killed at a random point. Then all that was said must be there, and nothing half done. Ends with 0
if it is.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import mark_of
from platemark.registry import Registry

MOST_LINES, LONGEST_S = 12, 0.02
"""A process is killed after so many lines, and then so long, at most."""


def work(file: str, start: int, told: int) -> None:
    """Change the registry until killed, telling what was done: ``+name`` and ``-name``."""

    def tell(text: str) -> None:
        os.write(told, f"{text}\n".encode())

    with Registry.open(file) as registry:
        for step in range(start, start + 10_000):
            tell(f"?stamp {step}")
            registry.add(f"stamp {step}", mark_of(step), duplicates="allow")
            tell(f"+stamp {step}")
            if step % 3 == 0:
                tell(f"?-stamp {step}")
                registry.remove(f"stamp {step}")
                tell(f"-stamp {step}")


def one_round(file: str, start: int) -> tuple[list[str], int]:
    """Let a process work, kill it, and return what it told and up to which number it came."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        work(file, start, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [stream.readline() for _ in range(random.randint(1, MOST_LINES))]
        time.sleep(random.uniform(0.0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines = [line.strip() for line in (*lines, *stream)]
    return lines, max(int(line.split()[-1]) for line in lines) + 1


def main() -> int:
    file, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    known: set[str] = set()
    following, acknowledged = 0, 0
    for number in range(rounds):
        lines, following = one_round(file, following)
        unsure = lines[-1][1:].lstrip("-") if lines[-1].startswith("?") else ""
        for line in lines:
            if line[0] == "+":
                known.add(line[1:])
                acknowledged += 1
            elif line[0] == "-":
                known.discard(line[1:])
        with Registry.open(file) as registry:
            found = {design.name: design for design in registry.designs()}
            # Of what was under way when it was killed, all or nothing is there.
            if known - {unsure} != found.keys() - {unsure}:
                print(f"round {number}: {known ^ found.keys()} differ")
                return 1
            known = set(found)
            last = [found[name] for name in sorted(found)[-3:]]
            for design in last:
                samples = registry.samples(design.id)
                if len(samples) != 1 or registry.picture(samples[0].id).ink.size == 0:
                    print(f"round {number}: {design.name} is not whole")
                    return 1
            ((sound,),) = registry._store._rows("PRAGMA integrity_check")  # type: ignore[attr-defined]
            if sound != "ok":
                print(f"round {number}: {sound}")
                return 1
    print(f"{rounds} kills, {acknowledged} acknowledged, {len(known)} there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
