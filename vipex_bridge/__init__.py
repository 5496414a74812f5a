"""The bridge between an Asterisk PBX and HTTP REST servers."""

__version__ = "0.1.0"
