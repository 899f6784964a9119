"""microcalc: the microcalcification study of Kang et al. (2021) as software.

Importing the package is light (no torch); the parts are imported by name, e.g. ``microcalc.cohort``,
``microcalc.stats``, ``microcalc.study``. Research use only, not a medical device.
"""

__all__ = ["RESEARCH_USE", "__version__"]

__version__ = "0.1.0"

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or for decisions about patients."
