//! Tar streams, read with limits and written exactly, and the compressions around them.
