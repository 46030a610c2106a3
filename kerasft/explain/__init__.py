"""Why a run answered so: the program, and what is found out over whole data sets."""
