"""Faults: runs that are killed, and engines that fail; nothing is left in the end."""
