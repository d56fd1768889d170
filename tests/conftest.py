"""For all tests: how Hypothesis behaves. Fixtures stand in the kits beside this file."""

from __future__ import annotations

from hypothesis import settings

# A busy machine makes single examples slow: that is no fault of what is tested.
settings.register_profile("sideroom", deadline=None)
settings.load_profile("sideroom")
