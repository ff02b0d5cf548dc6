"""The algorithm's steps one by one, each in several forms that solve the same inputs.

It may import contract, step_problem, baseline, maths, compiled and gpu. `forms` has the table.
"""
