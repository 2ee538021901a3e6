"""Classification of pictures with timm models."""
