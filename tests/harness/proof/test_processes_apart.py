"""What processes differ by is told from what their turns scatter by."""

import json

import numpy as np
import pytest

from harness.proof import processes


def times(between, within, count=8, rounds=200):
    rng = np.random.default_rng(3)
    own, drift = rng.normal(0, between, count), rng.normal(0, 0.2, rounds)
    turns = np.exp(own[:, None] + drift + rng.normal(0, within, (count, rounds)))
    return own, [dict(enumerate(row, 1)) for row in turns]


def test_processes_are_told_from_turns():
    own, made = times(0.01, 0.02, count=100)
    rounds, within, between, farthest = processes.apart(made)
    assert rounds == 200
    assert within == pytest.approx(0.02, rel=0.2)
    assert between == pytest.approx(0.01, rel=0.2)
    assert farthest == pytest.approx(np.abs(own - np.median(own)).max(), rel=0.2)
    assert processes.apart(times(0.0, 0.02)[1])[2] < 0.002


def test_one_process_far_from_all_others_is_told_apart():
    _, made = times(0.005, 0.01)
    far = [{number: 1.15 * seconds for number, seconds in made[0].items()}, *made[1:]]
    (*_, usual, _), (*_, between, farthest) = processes.apart(made), processes.apart(far)
    assert between == pytest.approx(usual, rel=0.7)
    assert farthest == pytest.approx(np.log(1.15), abs=0.02)


def test_only_rounds_that_all_took_part_in_count():
    _, made = times(0.01, 0.0, rounds=10)
    del made[0][3]
    made[1][11] = 5.0
    assert processes.apart(made)[0] == 9


def test_the_table_is_made_from_what_is_kept(tmp_path, capsys):
    row = {"kind": "`l2`, 10 ms", "burners": 4, "rounds": 30, "within": 0.021, "between": 0.006, "farthest": 0.05}
    machine = {"cpu": "A", "cores": 2, "memory_gb": 24.0, "system": "Linux", "id": "0"}
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"machine": machine, "commit": "abc", "rows": [row]}))
    assert processes.main(["--write", "--out", str(kept)]) == 0
    told = capsys.readouterr().out
    assert "| `l2`, 10 ms | 4 | 30 | 2.10% | 0.60% | 5.00% |" in told
    assert "differ by 0.60% in the middle of all" in told
