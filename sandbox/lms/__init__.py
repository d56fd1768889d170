"""A practice LMS: an LTI 1.3 platform that behaves as Sakai does, so that everything can be tried without accounts."""
