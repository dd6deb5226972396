"""Other people's generators: NVIDIA's pickles and rosinality's checkpoints, read without executing anything in them."""
