from __future__ import annotations

from crossrig.evaluation.progress import TimeLeft


def test_the_time_left_follows_from_the_speed_so_far() -> None:
    now, told = [0.0], []
    report = TimeLeft(lambda *what: told.append(what), lambda: now[0])
    report("samples", 1, 101)  # time runs from here
    now[0] = 10.0
    report("samples", 11, 101)  # a second a step, 90 to go
    now[0] = 100.0
    report("samples", 101, 101)
    now[0] = 200.0
    report("paths", 1, 10_001)
    now[0] = 210.0
    report("paths", 11, 10_001)
    assert told[0] == ("samples", 1, 101)
    assert told[1] == ("samples, 2 min left,", 11, 101)
    assert told[2] == ("samples", 101, 101)
    assert told[3] == ("paths", 1, 10_001)
    assert told[4] == ("paths, 2.8 h left,", 11, 10_001)
