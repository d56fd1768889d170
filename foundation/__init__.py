"""What every layer may use: rules about values that belong to no part of the product."""
