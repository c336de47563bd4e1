//! What a scan met that does not fit: damage, or a process that was stopped in its allocator.

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A pool whose chain of free blocks is broken.
    Broken,
    /// A pool whose chain is not as long as the header says.
    Miscounted,
    /// A pool that could not be read.
    Unreadable,
    /// A pool whose header is zeros, between others of its arena.
    Blank,
    /// An object in the garbage collector's lists whose type is none.
    Untyped,
    /// An object that claims more memory than there is, or tables that are not where it says.
    Impossible,
}

impl Trouble {
    const ALL: [Trouble; 6] = [
        Trouble::Broken,
        Trouble::Miscounted,
        Trouble::Unreadable,
        Trouble::Blank,
        Trouble::Untyped,
        Trouble::Impossible,
    ];

    /// So many of them, for the user.
    fn sentence(self, count: u64) -> String {
        let what = match self {
            Trouble::Broken => "pools have a broken list of free blocks: some of these may be counted as objects",
            Trouble::Miscounted => "pools have another number of free blocks than they say",
            Trouble::Unreadable => "pools cannot be read: their objects are missing",
            Trouble::Blank => "pools have zeros where their header was: their objects are missing",
            Trouble::Untyped => "objects in the garbage collector's lists have no type and are not counted",
            Trouble::Impossible => "objects claim an impossible size: only that of their fixed part is counted",
        };
        format!("{count} {what}")
    }
}

/// What does not fit, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Troubles {
    counts: [u64; Trouble::ALL.len()],
    /// Where the first of each are.
    places: Vec<(Trouble, u64)>,
}

impl Troubles {
    const SHOWN: usize = 4;

    /// What there is, in a sentence each, and where the first are.
    pub fn sentences(&self) -> impl Iterator<Item = (String, Vec<u64>)> {
        let some = Trouble::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0);
        some.map(|(what, count)| (what.sentence(count), self.of(what).collect()))
    }

    fn of(&self, what: Trouble) -> impl Iterator<Item = u64> {
        self.places.iter().filter(move |(one, _)| *one == what).map(|(_, addr)| *addr)
    }

    pub(super) fn note(&mut self, what: Trouble, addr: u64) {
        self.counts[what as usize] += 1;
        self.show(what, addr);
    }

    fn show(&mut self, what: Trouble, addr: u64) {
        if self.of(what).count() < Troubles::SHOWN {
            self.places.push((what, addr));
        }
    }

    /// Takes away what was noted of what is no object.
    pub(super) fn subtract(&mut self, other: &Troubles) {
        for (count, part) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_sub(part);
        }
        self.places.retain(|place| !other.places.contains(place));
    }

    pub(super) fn add(&mut self, other: &Troubles) {
        for (count, part) in self.counts.iter_mut().zip(other.counts) {
            *count += part;
        }
        other.places.iter().for_each(|(what, addr)| self.show(*what, *addr));
        self.places.sort_unstable_by_key(|(_, addr)| *addr);
    }
}
