"""Learning in stages: new rows, new classes, and what was learnt before measured at each of them."""
