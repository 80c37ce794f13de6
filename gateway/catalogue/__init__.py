"""Which models exist, who may use them, and which deployments serve them."""
