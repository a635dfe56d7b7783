"""Networks of Paddle's own model zoos. `make families` makes the environment in which they are exported."""
