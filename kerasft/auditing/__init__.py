"""Which labels may be wrong: what a model says of rows that it did not learn from."""
