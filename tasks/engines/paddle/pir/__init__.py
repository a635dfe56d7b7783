"""Programs of Paddle 3 (PIR, `inference.json`) as programs that Paddle 2.6 runs. Paddle 3 is not needed.

`program.py` reads the JSON. `operators.yaml` says of each operator what it is called in Paddle 2.6, a line
each, and `table.py` reads it. `translation.py` writes the legacy program by that table; what a line cannot
say is a small function of `exceptions.py`, loops and branches are in `control_flow.py`. `source.py` is the
way in: model files that Paddle 2.6 reads, whatever was given.
"""
