//! What a stage remembers of the frame before: most frames of a burst are like it.
//!
//! Each stage has one memo. It says in a few inlined words what "the same as before, and nothing special" is; every other
//! frame takes the full path, out of line, and that alone sets the memo. A memo lives as long as the stage has the
//! burst, under one set of tables, so that nothing in it can be out of date.

/// What the full path of a stage found out about the frame before, if it found anything that others can share.
pub(super) struct Memo<T>(Option<T>);

impl<T> Memo<T> {
    /// Of the first frame of a burst.
    #[inline]
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// What was found out about the frame before, if this frame is alike, so that it holds for it too.
    #[inline]
    pub(super) fn alike(&mut self, is_alike: impl FnOnce(&T) -> bool) -> Option<&mut T> {
        self.0.as_mut().filter(|before| is_alike(before))
    }

    /// Remembers what the full path has found out. Returns it.
    #[inline]
    pub(super) fn set(&mut self, found: T) -> &mut T {
        self.0.insert(found)
    }
}
