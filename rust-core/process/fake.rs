//! A target made of byte literals, for tests and fuzzing.

use super::Memory;
use super::maps::Region;
use crate::bytes::Addr;
use crate::error::{Error, FaultCause, Result};

/// Segments of bytes at fixed addresses.
#[derive(Debug, Default)]
pub struct Fake {
    segments: Vec<(u64, Vec<u8>)>,
    regions: Vec<Region>,
}

impl Fake {
    /// Adds `bytes` at `start`, writable and anonymous. Segments must be added in address order.
    pub fn add(&mut self, start: u64, bytes: Vec<u8>) -> &mut Fake {
        self.regions.push(Region {
            start,
            end: start + bytes.len() as u64,
            writable: true,
            executable: false,
            offset: 0,
            path: String::new(),
            deleted: false,
        });
        self.segments.push((start, bytes));
        self
    }
}

impl Memory for Fake {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let fault = Error::Fault { addr, cause: FaultCause::Unmapped };
        for (start, bytes) in &self.segments {
            let Some(skip) = addr.0.checked_sub(*start) else { continue };
            let Ok(skip) = usize::try_from(skip) else { continue };
            if let Some(slice) = skip.checked_add(buffer.len()).and_then(|end| bytes.get(skip..end)) {
                buffer.copy_from_slice(slice);
                return Ok(());
            }
        }
        Err(fault)
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }
}
