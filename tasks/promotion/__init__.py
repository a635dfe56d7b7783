"""Promotions and rollbacks of champions: the checks, the decisions and their record."""
