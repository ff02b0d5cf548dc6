"""Pages and documents made of records: a run's, scaling, peers, the README's tables.

It may import all rooms but upkeep.
"""
