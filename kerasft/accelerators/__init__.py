"""What a config would do on a chip that this machine does not have."""
