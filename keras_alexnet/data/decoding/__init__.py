"""The parts of decoding: orientation, sizes, transparency, rarer formats, warnings."""
