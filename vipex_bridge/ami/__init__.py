"""Asterisk's manager interface: bytes to messages, messages to typed events, and the session.

`framing`, `translate` and `resync` do no I/O; `session` is the only module that talks to Asterisk.
"""
