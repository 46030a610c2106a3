"""What a training step minimises; each objective is one file."""
