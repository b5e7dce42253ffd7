"""The ledger as tables, pages and words. Reads files only; imports no torch."""
