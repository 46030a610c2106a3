"""What is kept of earlier rows: sums, buffers, tables."""
