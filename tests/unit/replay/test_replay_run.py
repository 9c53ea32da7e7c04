"""A history goes through what the agent runs on, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from histories import JUMP_ROW, ROWS, history, jumping

from agent.errors import RebellionError
from agent.model import Series
from agent.replay.run import replay


def test_a_jump_is_alerted_where_it_begins_with_what_was_usual(loaded):
    seen = replay(loaded(), history({"a": jumping(), "calm": np.sin(np.arange(ROWS) / 9)}))
    found = [alert for alert in seen.alerts if alert.column == 0]
    assert [alert.row for alert in found] == [JUMP_ROW]
    assert found[0].point.reason.startswith(f"{jumping()[JUMP_ROW]:.6g}, above the usual 4")
    assert seen.judge == "rebellion"


@pytest.mark.parametrize("detector", ["rebellion", "robust", "zscore"])
def test_no_row_is_judged_by_a_later_one_nor_by_the_series_name(loaded, detector):
    configuration = loaded(f'[transformer]\ndetector = "{detector}"\n')
    whole = replay(configuration, history({"a": jumping()}))
    part = replay(configuration, history({"another_name": jumping()[: JUMP_ROW + 20]}))
    np.testing.assert_array_equal(part.scores, whole.scores[: JUMP_ROW + 20])
    assert [alert.row for alert in part.alerts] == [alert.row for alert in whole.alerts if alert.row < JUMP_ROW + 20]


def test_columns_do_not_disturb_each_other_and_gaps_stay_gaps(loaded):
    gappy = jumping(seed=8)
    gappy[100:140] = np.nan
    gappy[300] = np.inf
    together = replay(loaded(), history({"a": jumping(), "b": gappy}), keeps_averages=True)
    alone = replay(loaded(), history({"a": jumping()}), keeps_averages=True)
    np.testing.assert_array_equal(together.scores[:, 0], alone.scores[:, 0])
    np.testing.assert_allclose(together.averages[:, 0], alone.averages[:, 0], rtol=1e-12)
    assert np.isnan(together.scores[100:140, 1]).all()
    assert np.isnan(together.scores[300, 1])


def test_the_moving_average_is_that_of_five_rows(loaded):
    seen = replay(loaded(), history({"a": [1, 2, 6, 4, 5, 30]}), keeps_averages=True)
    assert seen.averages[:, 0].tolist() == pytest.approx([1, 1.5, 3, 3.25, 3.6, 9.4])


def test_the_forecast_looks_a_twentieth_ahead_unless_told(loaded):
    wave = history({"a": np.sin(np.arange(600) / 9)})
    assert len(replay(loaded(), wave).forecasts[0].point) == 30
    assert len(replay(loaded(), wave, ahead=7).forecasts[0].point) == 7
    assert len(replay(loaded(), history({"a": [1.0, 2.0]})).forecasts[0].point) == 12


def test_a_limit_gives_the_time_until_each_series_reaches_it(loaded):
    ramp = np.linspace(0.2, 0.8, 300)
    found = replay(loaded(), history({"ramp": ramp, "flat": np.full(300, 0.5)}), limit=1.0).exhaustions
    assert found[0].eta_s == pytest.approx(100 * 60, rel=0.05)
    assert found[1].eta_s == np.inf


def test_series_of_a_host_bring_its_predictions_and_its_health(loaded):
    full = Series("filesystem_used_ratio", (("mount", "/var"),))
    seen = replay(loaded(), history({full: np.linspace(0.5, 0.97, 400)}))
    assert "failure.predicted" in [event.kind for event in seen.events]
    assert seen.health["disk"].score < 60
    assert replay(loaded(), history({"a": jumping()})).health == {}


def test_without_a_transformer_there_is_nothing_to_replay_through(loaded):
    with pytest.raises(RebellionError, match=r"transformer\.enabled is false"):
        replay(loaded("[transformer]\nenabled = false\n"), history({"a": [1.0]}))
