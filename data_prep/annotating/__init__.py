"""Documents annotated: words by the segmenters, phrases and entities by the annotators, brought into agreement."""
