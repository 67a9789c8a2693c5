"""Where encoders come from: one file for each library, opened by `lib.models.named`."""
