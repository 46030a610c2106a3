"""One file per task: everything a task adds to a backbone."""
