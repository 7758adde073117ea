"""What a version is made of: features, predictors, and the signed bundle that holds them."""
