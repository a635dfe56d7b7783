"""A differential fuzzer: random graphs, held to themselves on other engines and to PaddleSlim's simulation.

The idea is NNSmith's (Liu et al., "NNSmith: Generating Diverse and Valid Test Cases for Deep Learning
Compilers", ASPLOS 2023): graphs that are valid by construction, checked against a reference.
"""
