"""Goes on from a trained run: data that came later, streams, drift, alerts."""
