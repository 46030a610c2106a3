"""The config file: its keys and defaults, and the way from YAML and the command line to one frozen object."""
