"""One SavedModel of a base and several adapters: a signature for each, and rows of one batch by different ones."""
