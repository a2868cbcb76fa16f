"""The evaluation: runs points by scalio-eval, draws figures of them, and writes one page.

`./evaluate` at the root calls it. From bottom to top: job.py (what is run), setup.py (the paper's
settings), program.py (one job by one process), kept.py (results on disk), runner.py (many jobs),
figures/ (one module each: its points and its picture), page.py (HTML), __main__.py (command line).
"""
