"""Measures what this project promises to be fast at, each beside what it is compared to: `make bench`.

Not tests: nothing here fails. Every bench measures both sides in turns in one run, prints medians, tails and CPU
seconds, and how much of the machine others used meanwhile.
"""
