"""The chapters of the book: one folder a question. A chapter uses the rooms below it, and never another chapter."""
