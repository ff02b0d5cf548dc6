"""What the documentation's pages have of committed records, a file a page; `harness.reports.readme` writes them.

It may import what reports may.
"""
