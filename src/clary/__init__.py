"""Clary: a machine-learning platform on your own machine, compatible with the Amazon SageMaker APIs.

Not affiliated with Amazon.
"""

__version__ = "0.1.0"
