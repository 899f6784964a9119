"""The DICOM objects that carry a reading: structured report, presentation state and heatmap."""

__all__: list[str] = []
