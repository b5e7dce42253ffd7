"""Trains a network of your own on datasets of your own, and resumes it."""

import tempfile

import torch
from torch import nn
from torch.utils.data import TensorDataset

import paceline

torch.manual_seed(0)
x = torch.randn(2000, 20)
y = (x[:, 0] * x[:, 1] > 0).long()
network = nn.Sequential(
    nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
)

with tempfile.TemporaryDirectory() as folder:
    run = paceline.fit(
        TensorDataset(x, y),
        model=network,
        epochs=30,
        out=f"{folder}/own",
        settings={"optimizer.lr": 3e-3, "controller.name": "cosine"},
    )
    print("test accuracy", round(run.test["accuracy"], 3), "after", run.facts["result"]["steps"])
    print("predictions", run.predict(x[:8]))
    assert run.test["accuracy"] > 0.8
