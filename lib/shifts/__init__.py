"""How the world changes: corruptions today; natural shifts, texture and adversaries."""
