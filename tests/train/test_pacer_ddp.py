"""Where several processes train one model, all of them decide alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from paceline import Pacer

rank, place = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{place}/rendezvous", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
paired = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.Adam(model.parameters())
pacer = Pacer(optimizer, total_steps=120, modules=[model])
chance = torch.Generator().manual_seed(rank)  # each has data of its own
data = [torch.randn(16, 6, generator=chance) for _ in range(40)]
for x in pacer.batches(data):
    optimizer.zero_grad()
    loss = (paired(x) - x[:, :1]).square().mean()
    loss.backward()
    pacer.step(loss)
torch.save([model.state_dict(), [each.reason for each in pacer.decisions]], f"{place}/{rank}.pt")
dist.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no distributed")
def test_all_ranks_decide_alike(own_directory: Path) -> None:
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen([*command, str(rank), str(own_directory)], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said.decode()
    (left, told), (right, told_too) = (
        torch.load(own_directory / f"{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert told == told_too
    assert any("measures" in reason for reason in told)
    for name in left:
        assert torch.equal(left[name], right[name])
