"""A replica of torchft, for recovery.py; run by a Python that has torchft.

    LIGHTHOUSE=http://127.0.0.1:PORT python benchmarks/torchft_rank.py FOLDER NUMBER

It stands alone, because torchft comes with a torch of its own.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path

STEP_SECONDS = 0.05


def main() -> None:
    import torch
    from torch.distributed import TCPStore
    from torchft import Manager, ProcessGroupGloo

    torch.set_num_threads(1)
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    model = torch.nn.Linear(16, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    manager = Manager(
        pg=ProcessGroupGloo(timeout=timedelta(seconds=1)),
        min_replica_size=1,
        load_state_dict=model.load_state_dict,
        state_dict=model.state_dict,
        replica_id=f"replica_{number}",
        lighthouse_addr=os.environ["LIGHTHOUSE"],
        store_addr="127.0.0.1",
        store_port=store.port,
        rank=0,
        world_size=1,
        timeout=timedelta(seconds=10),
        quorum_timeout=timedelta(seconds=30),
    )
    while not (folder / "enough").exists():
        manager.start_quorum()
        optimizer.zero_grad()
        loss = model(torch.randn(30, 16)).square().mean()
        loss.backward()
        time.sleep(STEP_SECONDS)
        for parameter in model.parameters():
            manager.allreduce(parameter.grad).wait()
        if manager.should_commit():
            optimizer.step()
            line = {
                "at": time.time(), "life": manager.num_participants(), "rank": number,
                "process": os.getpid(),
            }  # fmt: skip
            with (folder / f"steps.{number}").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    os._exit(0)


if __name__ == "__main__":
    main()
