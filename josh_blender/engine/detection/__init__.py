"""People in pictures: the detector, the landmark model, tracks and masks."""
