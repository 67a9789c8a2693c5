"""How the world changes: corruptions, transforms, natural shifts and adversaries."""
