"""What a notebook shows: the control panel, the live curves and views of a report."""
