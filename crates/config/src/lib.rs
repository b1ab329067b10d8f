//! Configuration files of Podman and Docker: parsers first, then one function each that reads them from their places.
