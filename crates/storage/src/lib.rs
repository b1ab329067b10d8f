//! The store on disk: layers, images, names, container roots, volumes.
