//! Images from and to somewhere else: registries over HTTP, OCI layouts, archives, directories.
