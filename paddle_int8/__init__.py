"""The name that the project's folders are imported by: `paddle_int8.flows` and `paddle_int8.tasks`.

The folders themselves stand at the top of the repository, and this package links to them. So a project that
has packages named `tasks` or `flows` of its own can install this one beside them.
"""
