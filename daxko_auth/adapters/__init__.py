"""
Authentication for one HTTP library each, on one set of decisions about a call.
"""
