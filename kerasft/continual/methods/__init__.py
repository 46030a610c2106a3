"""How a stage learns what is new and keeps what is old; each method is one file."""
