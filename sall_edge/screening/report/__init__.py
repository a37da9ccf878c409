"""What leaves the device: PDF, DICOM and FHIR, in the language of the clinic."""
