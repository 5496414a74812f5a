"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes says more of what else the machine does than of our code.
settings.register_profile("vipex", deadline=None)
settings.load_profile("vipex")
