"""The checker itself: it must see what it is there to see."""

import json

import pytest
from fault_stage import Stage, disorder
from synthetic import RUN_STEP, SERIES_STEP


@pytest.mark.parametrize(
    ("numbers", "misfits"),
    [
        ([1, 2, 3], 0),
        ([7, 1, 8, 2, 9, 3], 0),
        ([1, 2, 3, 3, 3], 1),
        ([9, 5, 1], 1),
        ([2, 1, 4, 3, 6, 5], 0),
        ([7, 3, 8, 2, 9, 1], 2),
    ],
)
def test_two_rising_streams_are_in_order_and_a_third_is_not(numbers, misfits):
    assert disorder(numbers) == misfits


@pytest.fixture
def judged(tmp_path):
    """Judges what a hub says it stored against ten ticks of two series."""

    def judge(ticks, declared=0, stored_twice=()):
        stage = Stage(tmp_path, "checker", 1, series_count=2)
        made = [f"{RUN_STEP + n} {n} {n}" for n in range(1, 11)]
        stage.made_path.write_text("\n".join(made) + "\n")
        lines = [[n, 1, n, "stored", RUN_STEP + n] for n in [*sorted(set(ticks)), *stored_twice]]
        stage.stored_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        stage._clean_ticks = 10
        values = [[RUN_STEP + n + one * SERIES_STEP for n in ticks] for one in range(2)]
        answers = {
            "query": {"results": [{"values": series} for series in values]},
            "agents": {"agents": [{"gap_points_total": declared}]},
        }
        stage.ask = lambda path, **_: answers[path]
        return stage.judge()

    return judge


def test_everything_stored_once_is_whole(judged):
    verdict = judged(range(1, 11))
    verdict.assert_whole()
    assert verdict.made == 20


def test_what_is_missing_is_lost_unless_it_was_declared(judged):
    assert judged([1, 2, 3, 5, 6, 7, 8, 9, 10]).lost == 2
    assert judged([1, 2, 3, 5, 6, 7, 8, 9, 10], declared=2).lost == 0


def test_a_double_is_seen_in_the_answer_and_in_the_journal(judged):
    assert judged([*range(1, 11), 10]).duplicated == 2
    assert judged(range(1, 11), stored_twice=[10]).duplicated == 1


def test_a_point_that_nobody_made_is_told(judged):
    assert judged([*range(1, 11), 99]).notes == {"unknown points": 2}
