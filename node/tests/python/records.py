"""Foretells the record that is made of each line of a file. The programs in the other languages use the same rules."""

import time

# Fixed for a day, so that a reader in another process knows it; recent enough for any retention.
FIRST_TIMESTAMP_MS = int(time.time()) // 86_400 * 86_400_000 - 86_400_000
DEADLINE_S = 60


def record(index, line, partitions):
    """Partition, key, value, headers, timestamp of the record made of a line."""
    key = None if index % 7 == 0 else b"key-%d" % index
    value = None if index % 101 == 100 else line
    headers = [("line", b"%d" % index), ("empty", b""), ("null", None)] if index % 5 == 0 else []
    return index % partitions, key, value, headers, FIRST_TIMESTAMP_MS + index


def lines_of(path):
    with open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]


def becomes(what, holds):
    """Waits until something holds that becomes visible a moment after it was answered."""
    for _ in range(150):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what}: not seen")
