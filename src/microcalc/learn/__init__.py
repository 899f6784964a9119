"""The learning side, on torch: networks, their ImageNet weights, training, prediction, Grad-CAM.

It writes the predictions table and never judges it; no statistics live here. Importing this package alone pulls no
torch; its modules do.
"""

__all__: list[str] = []
