"""How a person sees a sample and an answer: as a picture, and in words."""
