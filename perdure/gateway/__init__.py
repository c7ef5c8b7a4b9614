"""Gateways: events of devices and services, brought to the runs that wait for them."""
