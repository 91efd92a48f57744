"""The composition root: clocks, chance, threads, pools, signals and their supervision.

Two loops, each in a thread of its own, share nothing but the ledger. A loop's jobs run in a pool and
their outcomes come back through its inbox. An unexpected exception stops the whole service and is logged
with its traceback: nothing restarts itself within the process, and the next start repairs the ledger.
"""
