"""A plain PyTorch loop made adaptive: two lines changed, and a third for better trials."""

import torch
from torch import nn

import paceline

STEPS = 300


def train(learning_rate: float, *, paced: bool) -> float:
    """Loss on unseen data after one training that began with a learning rate."""
    torch.manual_seed(0)
    x = torch.randn(1200, 8)
    y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    seen = torch.utils.data.TensorDataset(x[:1000], y[:1000])
    loader = torch.utils.data.DataLoader(seen, batch_size=50, shuffle=True)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)

    if paced:
        pacer = paceline.Pacer(optimizer, total_steps=STEPS, modules=[model])  # line 1
        batches = pacer.batches(loader)  # line 3: trials on the same batches, and it ends
    else:
        batches = (batch for _ in range(STEPS // len(loader)) for batch in loader)
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        if paced:
            pacer.step(loss)  # line 2, instead of optimizer.step()
        else:
            optimizer.step()

    with torch.no_grad():
        return nn.functional.mse_loss(model(x[1000:]), y[1000:]).item()


print("start   plain   paced")
worst = 0.0
for rate in (1e-5, 1e-2, 10.0):
    plain, paced = train(rate, paced=False), train(rate, paced=True)
    worst = max(worst, paced)
    print(f"{rate:5g} {plain:7.3g} {paced:7.3g}")
print("worst paced loss", round(worst, 3))
assert worst < 0.7
