//! The verbs on containers, images and volumes; their records and locks.
