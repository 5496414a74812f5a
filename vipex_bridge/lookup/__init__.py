"""Asking a server where to route a caller, and making channel variables of its answer."""
