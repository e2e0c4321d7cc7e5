"""Other gateways to measure beside: how they are installed and run, and how a page with figures is written."""
