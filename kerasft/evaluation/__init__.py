"""What a model is worth: metrics, their intervals, and the report a person reads."""
