"""Agents on a Ray cluster of two nodes, which both run on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import paceline
from paceline.core.errors import SettingError
from paceline.core.ledger import read_ledger

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]
SETTINGS = {
    "loop.precision": "fp32",
    "loop.average": 0.0,
    "controller.name": "constant",
    "optimizer.name": "sgd",
    "optimizer.lr": 0.01,
    "model.name": "mlp",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def _weights(run: paceline.Run) -> dict[str, object]:
    return dict(paceline.load(run.path, weights="last").model.state_dict())


def test_agents_on_two_nodes_learn_what_one_process_learns(address: str, tmp_path: Path) -> None:
    alone = paceline.fit(
        "digits", steps=12, out=tmp_path / "alone", baselines=False, settings=SETTINGS
    )
    together = paceline.fit(
        "digits",
        steps=12,
        out=tmp_path / "together",
        baselines=False,
        agents=2,
        settings=SETTINGS | {"agents.engine": "ray"},
    )
    expected, found = _weights(alone), _weights(together)
    for name, value in expected.items():
        assert (value - found[name]).abs().max() < 1e-5, name  # type: ignore[operator]


def test_agents_live_on_both_nodes(address: str, tmp_path: Path) -> None:
    run = paceline.fit(
        "digits",
        steps=3,
        out=tmp_path / "run",
        baselines=False,
        agents=2,
        settings=SETTINGS | {"agents.engine": "ray"},
    )
    (decided,) = read_ledger(run.path / "ledger.db", kind="decision", name="agents")
    assert len(set(decided.detail["seen"]["places"].values())) == 2


def test_an_address_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    if ray.is_initialized():
        pytest.skip("this process is connected to a cluster already")
    with pytest.raises(SettingError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        paceline.fit(
            "digits",
            steps=1,
            out=tmp_path / "run",
            baselines=False,
            agents=1,
            settings={"agents.engine": "ray", "agents.address": "127.0.0.1:1"},
        )
