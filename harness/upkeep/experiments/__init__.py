"""Measurements that pages of docs/ are made from: start-up, reading ahead, layouts of maps, the harness itself.

It may import everything.
"""
