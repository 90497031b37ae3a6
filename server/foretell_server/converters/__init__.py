"""Between messages and plain values: besides the servicers, all that sees protobuf."""
