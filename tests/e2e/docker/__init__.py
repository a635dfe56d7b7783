"""The stack in Docker: the engine, the images that ours is built from, and the containers."""
