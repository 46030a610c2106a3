"""From a model and prepared data to trained weights."""
