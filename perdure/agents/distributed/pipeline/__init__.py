"""Agents of a training pipeline: data that is checked, a model that is judged before it is published."""
