"""The services of `docker-compose.yml` on one host without Docker, for `make stack`, tests and benchmarks."""
