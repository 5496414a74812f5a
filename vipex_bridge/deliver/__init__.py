"""Bringing what is queued to the servers: HTTP transport, filling of secrets and recordings, retries."""
