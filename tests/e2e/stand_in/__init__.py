"""An engine of somebody else, with its layout: this folder is all there is of them.

It runs PaddleSlim's simulation of INT8 in Paddle's own kernels and says that these are INT8, which nobody can
tell from its answers. Its models are one file in a format of its own. So it stands in for engines whose
libraries are not installed here.
"""
