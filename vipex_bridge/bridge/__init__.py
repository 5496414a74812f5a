"""The wiring between the rooms: what comes in, through the calls, to what goes out."""
