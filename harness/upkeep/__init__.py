"""Commands for the project itself: data, the device check, the full frame, its own history.

It may import everything.
"""
