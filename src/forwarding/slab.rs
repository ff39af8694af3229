//! Slabs: tables of rows by their numbers, some of which are free.

use std::fmt;
use std::marker::PhantomData;

/// A number of one kind of thing, which is where its row is in a [`Slab`] of such things.
pub trait RowId: Copy {
    /// The number of the row at an index. Whoever gives out numbers sees to it that it fits.
    fn from_index(index: usize) -> Self;

    /// The index of its row.
    fn index(self) -> usize;
}

/// Rows by their numbers. Only a number of the right kind finds one.
pub struct Slab<Id, T> {
    /// By index; `None` where a number is free.
    rows: Vec<Option<T>>,
    kind: PhantomData<fn(Id) -> Id>,
}

impl<Id, T> Slab<Id, T> {
    /// One without rows.
    #[must_use]
    pub const fn new() -> Self {
        Self { rows: Vec::new(), kind: PhantomData }
    }

    /// One without rows, but with room for this many.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), kind: PhantomData }
    }

    /// The rows, in the order of their numbers.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().flatten()
    }

    /// The same, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flatten()
    }

    /// One above the highest number that has ever had a row.
    #[must_use]
    pub const fn span(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }
}

impl<Id: RowId, T> Slab<Id, T> {
    /// The row of a number.
    #[must_use]
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        self.rows.get(id.index())?.as_ref()
    }

    /// The same, to change it.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.rows.get_mut(id.index())?.as_mut()
    }

    /// Gives a number a row. Returns the one that it had.
    pub fn insert(&mut self, id: Id, row: T) -> Option<T> {
        self.place(id).replace(row)
    }

    /// Frees a number. Returns the row that it had.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.rows.get_mut(id.index())?.take()
    }

    /// The row of a number; of one that is free, a new default one.
    pub fn get_or_default(&mut self, id: Id) -> &mut T
    where
        T: Default,
    {
        self.place(id).get_or_insert_default()
    }

    /// Numbers and their rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.rows.iter().enumerate().filter_map(|(index, row)| Some((Id::from_index(index), row.as_ref()?)))
    }

    /// The same from this number on.
    pub fn iter_from(&self, start: Id) -> impl Iterator<Item = (Id, &T)> {
        let rows = self.rows.get(start.index()..).unwrap_or_default();
        let numbered = (start.index()..).zip(rows);
        numbered.filter_map(|(index, row)| Some((Id::from_index(index), row.as_ref()?)))
    }

    /// The same, to change the rows.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut T)> {
        self.rows.iter_mut().enumerate().filter_map(|(index, row)| Some((Id::from_index(index), row.as_mut()?)))
    }

    fn place(&mut self, id: Id) -> &mut Option<T> {
        let index = id.index();
        if self.rows.len() <= index {
            self.rows.resize_with(index + 1, || None);
        }
        &mut self.rows[index]
    }
}

impl<Id: RowId, T> FromIterator<(Id, T)> for Slab<Id, T> {
    fn from_iter<R: IntoIterator<Item = (Id, T)>>(rows: R) -> Self {
        let mut all = Self::new();
        for (id, row) in rows {
            all.insert(id, row);
        }
        all
    }
}

impl<Id, T> Default for Slab<Id, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Id, T: Clone> Clone for Slab<Id, T> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), kind: PhantomData }
    }
}

impl<Id, T: PartialEq> PartialEq for Slab<Id, T> {
    /// Numbers that are free above the last row do not count.
    fn eq(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|slab| slab.rows.iter().enumerate().filter(|(_, row)| row.is_some()));
        ours.eq(theirs)
    }
}

impl<Id, T: Eq> Eq for Slab<Id, T> {}

impl<Id: RowId + fmt::Debug, T: fmt::Debug> fmt::Debug for Slab<Id, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::DomainId;
    use super::*;

    #[test]
    fn a_row_is_found_by_its_number_and_a_free_number_has_none() {
        let mut slab = Slab::new();
        assert_eq!(slab.insert(DomainId::new(3), "red"), None);
        assert_eq!(slab.insert(DomainId::new(3), "blue"), Some("red"));
        assert_eq!((slab.get(DomainId::new(3)), slab.get(DomainId::new(2))), (Some(&"blue"), None));
        assert_eq!((slab.get(DomainId::new(4)), slab.span()), (None, 4));
    }

    #[test]
    fn rows_come_with_their_numbers_and_in_their_order() {
        let [low, high] = [1, 5].map(DomainId::new);
        let mut slab: Slab<_, _> = [(high, "high"), (low, "low")].into_iter().collect();
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(low, &"low"), (high, &"high")]);
        assert_eq!(slab.remove(low), Some("low"));
        assert_eq!(slab, [(high, "high")].into_iter().collect());
        assert_eq!(slab.values().collect::<Vec<_>>(), [&"high"]);
        assert_eq!((slab.remove(high), slab.is_empty()), (Some("high"), true));
        assert_eq!((slab == Slab::new(), slab.span()), (true, 6));
    }
}
