"""The heart: what a call is. Pure: no I/O, no clock, no globals; time is passed in.

Read `events` first (what Asterisk testifies), then `document` (what we make of it).
"""
