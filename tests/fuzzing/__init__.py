"""A differential fuzzer: random graphs are compared with themselves on other engines and with PaddleSlim's
simulation.

The idea is NNSmith's (Liu et al., "NNSmith: Generating Diverse and Valid Test Cases for Deep Learning
Compilers", ASPLOS 2023): graphs that are valid by construction, checked against a reference.
"""
