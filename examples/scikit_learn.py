"""Paceline inside scikit-learn: a pipeline, cross-validated."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import paceline

x, y = load_breast_cancer(return_X_y=True)
pipeline = make_pipeline(StandardScaler(), paceline.PacelineClassifier(epochs=20))
scores = cross_val_score(pipeline, x, y, cv=3)
print("accuracy", scores.round(3))
assert scores.mean() > 0.93
