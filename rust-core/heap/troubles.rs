//! What a scan met that does not fit: damage, or a process that was stopped in its allocator.

/// What does not fit, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Troubles {
    /// Pools whose chain of free blocks is broken.
    pub broken: u64,
    /// Pools whose chain is not as long as the header says.
    pub miscounted: u64,
    /// Pools that could not be read.
    pub unreadable: u64,
    /// Pools whose header is zeros, between others of their arena.
    pub blank: u64,
    /// Objects in the garbage collector's lists whose type is none.
    pub untyped: u64,
    /// Objects that claim more memory than there is, or tables that are not where they say.
    pub impossible: u64,
    /// Where the first of each kind are.
    pub places: Vec<(&'static str, u64)>,
}

impl Troubles {
    const SHOWN: usize = 4;

    pub(super) fn note(&mut self, what: &'static str, addr: u64) {
        let counter = match what {
            "broken" => &mut self.broken,
            "miscounted" => &mut self.miscounted,
            "untyped" => &mut self.untyped,
            "blank" => &mut self.blank,
            "impossible" => &mut self.impossible,
            _ => &mut self.unreadable,
        };
        *counter += 1;
        if self.places.iter().filter(|(w, _)| *w == what).count() < Troubles::SHOWN {
            self.places.push((what, addr));
        }
    }

    /// Takes away what was noted of what is no object.
    pub(super) fn subtract(&mut self, other: &Troubles) {
        self.broken = self.broken.saturating_sub(other.broken);
        self.miscounted = self.miscounted.saturating_sub(other.miscounted);
        self.unreadable = self.unreadable.saturating_sub(other.unreadable);
        self.untyped = self.untyped.saturating_sub(other.untyped);
        self.impossible = self.impossible.saturating_sub(other.impossible);
        self.places.retain(|place| !other.places.contains(place));
    }

    pub(super) fn add(&mut self, other: &Troubles) {
        self.broken += other.broken;
        self.miscounted += other.miscounted;
        self.unreadable += other.unreadable;
        self.blank += other.blank;
        self.untyped += other.untyped;
        self.impossible += other.impossible;
        for place in &other.places {
            if self.places.iter().filter(|(w, _)| *w == place.0).count() < Troubles::SHOWN {
                self.places.push(*place);
            }
        }
        self.places.sort_unstable_by_key(|(_, addr)| *addr);
    }
}
