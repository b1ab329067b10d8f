//! The C library's heap.

/// Gives free pages of the heap back to the kernel (`malloc_trim(3)`); only glibc can, elsewhere it does nothing.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks and touches free chunks only.
    unsafe {
        libc::malloc_trim(0);
    }
}
