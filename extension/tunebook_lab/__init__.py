"""JupyterLab face of Tunebook: the prebuilt labextension, and routes of the Jupyter server beside it."""
