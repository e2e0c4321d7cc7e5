"""The laboratory's script: columns, gateways, their processes, and what is made of the figures."""
