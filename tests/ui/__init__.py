"""A package, so that what its fixtures start, Playwright's event loop above all, ends with its last test."""
