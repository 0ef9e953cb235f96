//! Who is out there and how good they are.
