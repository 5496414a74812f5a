"""From what is known of a call to the exact HTTP request that tells it. Pure: no I/O, clock or chance."""
