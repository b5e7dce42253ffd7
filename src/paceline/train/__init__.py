"""The one loop, its transactions, and the precision it computes in."""
