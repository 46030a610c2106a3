"""Several runs of one config, each measured on the part of train that it did not learn from."""
