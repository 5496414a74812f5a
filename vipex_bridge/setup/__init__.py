"""Setting up: what Asterisk there is on this machine, what is to be written for it, writing and undoing."""
