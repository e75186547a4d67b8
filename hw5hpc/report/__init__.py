"""Finished runs become tables, figures and pages."""
