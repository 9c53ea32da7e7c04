import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from agent.numeric.median import median, medians

VALUES = st.floats(width=64, allow_infinity=False, min_value=-1e300, max_value=1e300) | st.just(float("nan"))


@given(arrays(np.float64, array_shapes(min_dims=1, max_dims=1, max_side=9), elements=VALUES))
def test_it_is_that_of_numpy_to_the_bit(values):
    assert np.array([median(values)]).tobytes() == np.array([np.median(values)]).tobytes()


@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=VALUES), st.sampled_from([0, 1, -1])
)
def test_along_an_axis_too(values, axis):
    np.testing.assert_array_equal(medians(values, axis), np.median(values, axis=axis))


LOOK = """
import sys
import numpy as np
from agent.numeric.exhaustion import exhaustion
from agent.numeric.row_table import RowTable
rise = np.arange(200.0)
print(exhaustion(rise, rise, 300.0).reason)
table = RowTable()
table.add(np.arange(9, dtype=np.uint32))
table.remove(np.arange(9, dtype=np.uint32))
print("numpy.ma" in sys.modules)
np.median(rise)
print("numpy.ma" in sys.modules)
"""


def test_a_look_ahead_leaves_masked_arrays_out_of_memory():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["it rises steadily", "False", "True"]
