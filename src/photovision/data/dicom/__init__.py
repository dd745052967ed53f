"""DICOM and NIfTI as data: what headers state, series, volumes, labels of studies and patients."""
