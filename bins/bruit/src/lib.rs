//! The bruit command line as a library function.
