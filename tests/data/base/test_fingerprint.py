import numpy as np
import pandas as pd

from paceline.data.base.fingerprint import fingerprint


def test_a_fingerprint_is_the_same_in_every_process():
    values = ("a", np.arange(3), ["x", 1], b"y", np.array(["b", None], object))
    assert fingerprint(*values)[:16] == "dfe24a0620a261bf"


def test_a_fingerprint_tells_types_shapes_and_names_apart():
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    different = [
        np.arange(4),
        np.arange(4.0),
        np.arange(4).reshape(2, 2),
        np.array(["0", "1", "2", "3"], object),
        np.array([0, 1, 2, 3], object),
        [0, 1, 2, 3],
        [[0, 1], [2, 3]],
        table,
        table.rename(columns={"a": "c"}),
        table.astype({"a": float}),
        table.astype({"a": "Int64"}),
        "0123",
        b"0123",
    ]
    assert len({fingerprint(value) for value in different}) == len(different)
