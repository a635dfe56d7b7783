"""Who is champion: the checks, the decisions and their record."""
