"""The figures, drawn from records alone.

It may import what measure may, and advice.
"""
