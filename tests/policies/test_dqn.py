"""dqn: moves as a network says that was trained before, without the library that trained it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.policies.base import Terms
from paceline.policies.base.grid import MOVES
from paceline.policies.base.networks import Network, find_network, read_network, write_network
from paceline.policies.base.sight import SIZE


def network(seed=0, width=8):
    draw = np.random.default_rng(seed)
    shapes = ((width, SIZE), (len(MOVES), width))
    return Network([(draw.normal(size=shape), draw.normal(size=shape[0])) for shape in shapes])


def test_a_network_is_the_same_as_in_torch():
    import torch

    own = network()
    layers = torch.nn.Sequential(
        torch.nn.Linear(SIZE, 8), torch.nn.Tanh(), torch.nn.Linear(8, len(MOVES))
    ).double()
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers[::2], own.layers, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        seen = np.random.default_rng(1).normal(size=SIZE)
        expected = layers(torch.from_numpy(seen)).numpy()
    assert np.allclose(own(seen), expected, atol=1e-12)


def test_a_file_holds_the_weights_and_the_facts(tmp_path):
    content = write_network(network(), {"policy": "dqn", "episodes": 3})
    found, facts = read_network(content, "x")
    assert facts["episodes"] == 3
    for (weight, bias), (again, other) in zip(network().layers, found.layers, strict=True):
        assert np.allclose(weight, again, atol=1e-6) and np.allclose(bias, other, atol=1e-6)


def test_it_takes_a_network_of_its_own_kind_alone(tmp_path, law):
    for name in ("dqn", "ppo"):
        (tmp_path / name).write_bytes(write_network(network(), {"policy": name}))
    law.made("dqn", network=str(tmp_path / "dqn"))
    with pytest.raises(SettingError, match="it was trained for 'ppo', not for 'dqn'"):
        law.made("dqn", network=str(tmp_path / "ppo"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no file of `paceline policy train`"),
        (b"{}" * 40, "no file of `paceline policy train`"),
        (write_network(network(), {"format": "other"}), "train --for agents"),
        (write_network(network(), {"moves": ["up"]}), "trained for other moves"),
        (write_network(network(), {"policy": "dqn"})[:-8], "no file of"),
    ],
)
def test_a_wrong_or_damaged_file_is_refused_in_one_line(tmp_path, law, content, expected):
    file = tmp_path / "net.safetensors"
    file.write_bytes(content)
    with pytest.raises(SettingError, match=expected) as caught:
        law.made("dqn", network=str(file))
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_a_missing_file_is_named_with_the_command_that_makes_one(law):
    with pytest.raises(SettingError, match="policy train dqn --for agents --out FILE"):
        law.made("dqn", network="nowhere.safetensors")


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [(np.zeros((5, 3)), np.zeros(5))],
        [(np.zeros((4, SIZE)), np.zeros(4))],
        [(np.zeros((5, SIZE)), np.zeros(4))],
        [(np.full((5, SIZE), np.nan), np.zeros(5))],
    ],
)
def test_layers_that_do_not_fit_together_are_refused(layers):
    with pytest.raises(SettingError, match=r"layer|finite"):
        Network(layers)


def test_the_shipped_network_is_small_and_comes_to_good_choices(law):
    size = sum(each.size for layer in find_network("", "dqn").layers for each in layer)
    assert 4 * size < 200_000
    shares, _ = law.drive(law.made("dqn", guide="equal"), law.Cluster(k=0.01, link=2.0), 150)
    assert law.mean(shares[50:]) > 0.85


def test_acting_loads_neither_stable_baselines_nor_torch():
    code = (
        "import sys; from paceline.core import catalog; from paceline.policies.base import Terms\n"
        "catalog.find('policies', 'dqn')(Terms())\n"
        "assert not {'torch', 'stable_baselines3', 'gymnasium'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_goes_on_identically_from_a_state_that_went_through_json(law):
    assert law.goes_on_identically("dqn", law.Cluster(), guide="equal")


def test_its_settings_are_named():
    assert set(catalog.settings(catalog.find("policies", "dqn"))) == {"network", "guide", "gated"}
    assert catalog.find("policies", "dqn")(Terms(), gated=False).gated is False
