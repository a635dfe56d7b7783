"""The process of a release: what both records say of it however it ends."""
