"""A plain PyTorch loop made adaptive: two lines changed, and a third for better trials."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import paceline

STEPS = 300
images, labels = map(torch.as_tensor, load_digits(return_X_y=True))
images = images.float() / 16


def train(learning_rate: float, *, paced: bool) -> float:
    """Accuracy on unseen digits of a training that began with a learning rate."""
    torch.manual_seed(0)
    seen = torch.utils.data.TensorDataset(images[:1400], labels[:1400])
    loader = torch.utils.data.DataLoader(seen, batch_size=64, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)

    batches = (batch for _ in range(STEPS // len(loader)) for batch in loader)
    if paced:
        pacer = paceline.Pacer(optimizer, total_steps=STEPS, modules=[model])  # the first line
        batches = pacer.batches(loader)  # the third: trials on the same batches, and an end
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        if paced:
            pacer.step(loss)  # the second line, instead of optimizer.step()
        else:
            optimizer.step()

    with torch.no_grad():
        return (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()


print("start   plain   paced")
worst = 1.0
for rate in (1e-5, 1e-2, 10.0):
    plain, paced = train(rate, paced=False), train(rate, paced=True)
    worst = min(worst, paced)
    print(f"{rate:5g} {plain:7.3f} {paced:7.3f}")
print("worst paced accuracy", round(worst, 3))
assert worst > 0.88
