"""The verdict on a candidate, a pure function of its evidence, and the choice among candidates."""
