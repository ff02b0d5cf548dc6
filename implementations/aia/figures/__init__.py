"""What is drawn of DEMs: maps of a set of images, one pixel's DEM, and which pixel a user means.

It may import what aia may, and aia; Matplotlib is imported by nothing else there.
"""
