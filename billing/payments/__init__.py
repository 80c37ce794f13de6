"""How users pay: offers, Checkout, the webhook inbox, and the entitlement that follows."""
