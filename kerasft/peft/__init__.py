"""Parameter-efficient fine-tuning: a frozen backbone, and a few weights that train; each method is one file."""
