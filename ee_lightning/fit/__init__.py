"""Training runs: the LightningCLI of fit, validate and test, with its callbacks."""
