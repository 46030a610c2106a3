"""Several models that answer as one: trained with other seeds, on other folds, or finished runs."""
