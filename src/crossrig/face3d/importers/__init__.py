"""Other people's 3D face models: read without executing anything in their files, and brought to ours (docs/2-face-model.md)."""
