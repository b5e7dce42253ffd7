"""Accumulated gradients in mixed precision: `pacer.step` once an update, with the scaler."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import paceline

UPDATES, PARTS = 150, 4  # four micro-batches of 32 make an update of 128

torch.manual_seed(0)
images, labels = map(torch.as_tensor, load_digits(return_X_y=True))
images = images.float() / 16
seen = torch.utils.data.TensorDataset(images[:1400], labels[:1400])
loader = torch.utils.data.DataLoader(seen, batch_size=32 * PARTS, shuffle=True, drop_last=True)

device = "cuda" if torch.cuda.is_available() else "cpu"
half = torch.float16 if device == "cuda" else torch.bfloat16
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
scaler = torch.amp.GradScaler(device)
pacer = paceline.Pacer(optimizer, total_steps=UPDATES, modules=[model])

for inputs, targets in pacer.batches(loader):
    optimizer.zero_grad()
    total = torch.zeros((), device=device)
    for part, answers in zip(inputs.chunk(PARTS), targets.chunk(PARTS), strict=True):
        with torch.autocast(device, dtype=half):
            loss = nn.functional.cross_entropy(model(part.to(device)), answers.to(device))
        scaler.scale(loss / PARTS).backward()
        total += loss.detach() / PARTS
    pacer.step(total, scaler=scaler)  # instead of scaler.step(optimizer) and scaler.update()

with torch.no_grad():
    accuracy = (model(images[1400:].to(device)).argmax(1).cpu() == labels[1400:]).float().mean()
print("updates", pacer.step_count)
print("test accuracy", round(accuracy.item(), 3))
assert accuracy > 0.85
