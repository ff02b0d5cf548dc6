"""How results look: numbers and tables in a terminal, in Markdown and in HTML.

It may import records and judge.
"""
