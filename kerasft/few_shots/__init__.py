"""What is done over several runs from few labels: draws of shots, self-training, which rows to label next."""
