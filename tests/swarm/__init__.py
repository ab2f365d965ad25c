"""Tests that make a swarm and leave it: alone on the engine, since that takes the names of all other containers."""
