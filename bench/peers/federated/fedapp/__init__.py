"""Federated averaging of digits as an app of Flower and of NVFlare: what they are compared with."""
