"""`python -m docs.generate` writes the generated parts of every page anew."""

from __future__ import annotations

import sys

from docs.generate.pages import write

sys.stdout.writelines(f"written anew: {page}\n" for page in write())
