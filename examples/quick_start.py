"""Trains on scikit-learn's digits and asks the model about some of them."""

import tempfile

from sklearn.datasets import load_digits

import paceline

with tempfile.TemporaryDirectory() as folder:
    run = paceline.fit("digits", steps=200, out=f"{folder}/digits")
    print("test accuracy", round(run.test["accuracy"], 3))
    for name, metrics in run.baselines.items():
        print(f"{name:20} {metrics['accuracy']:.3f}")

    again = paceline.load(f"{folder}/digits")
    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 1, 8, 8) * 255 / 16).round().astype("uint8")
    print("predicted", again.predict(pixels[:10]), "true", labels[:10])
    assert run.test["accuracy"] > 0.9
