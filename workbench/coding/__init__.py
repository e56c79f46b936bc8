"""The codec: entropy models with integer frequencies, and the file format; knows no networks."""
