"""How dates are written; Django looks here for FORMAT_MODULE_PATH."""
