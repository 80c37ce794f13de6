"""The pages on which a user sees and changes what they pay."""
