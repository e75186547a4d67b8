"""Networks as plain torch modules; they know no config."""
