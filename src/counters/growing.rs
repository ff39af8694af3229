//! Tables by number that grow while a worker counts in them.

use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::forwarding::RowId;

/// A table, by number, that control makes longer while a worker counts in it; what is there stays where it is.
#[derive(Debug)]
pub(super) struct Growing<Id, T> {
    /// As long as the first tables needed.
    first: Box<[T]>,
    /// Later parts, each twice as long as the one before; most tables never need any.
    more: OnceLock<Box<LaterParts<T>>>,
    kind: PhantomData<fn(Id)>,
}

type LaterParts<T> = [OnceLock<Box<[T]>>; 19];

impl<Id: RowId, T: Default> Growing<Id, T> {
    /// How long the first of the later ones is.
    const STEP: usize = 64;

    /// Room for so many.
    pub(super) fn new(len: usize) -> Self {
        Self { first: block(len), more: OnceLock::new(), kind: PhantomData }
    }

    /// What has this number.
    #[inline]
    pub(super) fn get(&self, id: Id) -> Option<&T> {
        let at = id.index();
        self.first.get(at).or_else(|| self.later(at - self.first.len()))
    }

    #[cold]
    fn later(&self, at: usize) -> Option<&T> {
        let step = (at / Self::STEP + 1).ilog2();
        let before = ((1 << step) - 1) * Self::STEP;
        self.more.get()?.get(step as usize)?.get()?.get(at - before)
    }

    /// Makes room for so many.
    pub(super) fn grow(&self, len: usize) {
        let (mut known, mut next) = (self.first.len(), Self::STEP);
        if known >= len {
            return;
        }
        for part in &**self.more.get_or_init(|| Box::new([const { OnceLock::new() }; 19])) {
            if known >= len {
                return;
            }
            part.get_or_init(|| block(next));
            (known, next) = (known + next, next * 2);
        }
    }

    /// All, in the order of their numbers; there may be more of them than anything was numbered.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        let later = self.more.get().into_iter().flat_map(|parts| parts.iter());
        self.first.iter().chain(later.filter_map(OnceLock::get).flatten())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let later = self.more.get().into_iter().flat_map(|parts| parts.iter());
        self.first.len() + later.filter_map(OnceLock::get).map(|part| part.len()).sum::<usize>()
    }
}

/// So many, all at zero.
pub(super) fn block<T: Default>(len: usize) -> Box<[T]> {
    (0..len).map(|_| T::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Counter;
    use super::*;
    use crate::forwarding::PeerId;

    #[test]
    fn a_table_grows_without_moving_what_it_counted() {
        let table = Growing::<PeerId, Counter>::new(3);
        table.get(PeerId::new(2)).unwrap().add(7);
        assert!(table.get(PeerId::new(3)).is_none());
        table.grow(1_000);
        for at in 3..1_000 {
            table.get(PeerId::new(at)).unwrap().add(at.into());
        }
        table.grow(2_000);
        assert_eq!(table.get(PeerId::new(2)).unwrap().get(), 7);
        assert!(
            (3..1_000).all(|at| table.get(PeerId::new(at)).unwrap().get() == u64::from(at)),
            "every place is one of its own"
        );
        assert_eq!(table.get(PeerId::new(1_999)).unwrap().get(), 0);
        let counted: Vec<_> = table.all().map(Counter::get).take(1_000).collect();
        assert!(counted[3..] == (3..1_000).collect::<Vec<_>>() && table.all().count() == table.len());
    }
}
