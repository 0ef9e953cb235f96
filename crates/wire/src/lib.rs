//! Bytes to messages and back: generated code, scan before decode, framing.
