//! Which kernels of products, convolutions and attention an adapter gets.

use std::fmt;

use super::adapter::AdapterReport;
use super::context::{Caps, Context};

/// A set of kernels made for one kind of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Registers and subgroup broadcasts: software adapters with subgroups of at least 8.
    Lanes,
    /// Tiles in workgroup memory: runs everywhere.
    Tiled,
    /// Cooperative matrices for f16 tensors, tiles in workgroup memory for others.
    Matrix,
}

/// Names a tier for this process: for measurements, and for drivers whose matrices go wrong where no test sees it.
const VARIABLE: &str = "SYNCLINE_TIER";

impl Tier {
    const ALL: [Tier; 3] = [Tier::Lanes, Tier::Tiled, Tier::Matrix];

    /// Whether its kernels run on an adapter at all.
    fn possible(self, caps: &Caps, report: &AdapterReport) -> bool {
        match self {
            Tier::Tiled => true,
            Tier::Lanes => caps.software && caps.subgroups && report.subgroup_size.0 >= 8,
            // Sources exist for these two pairs of matrices and subgroups.
            Tier::Matrix => matches!((caps.matrix, report.subgroup_size.0), (16, 32) | (8, 8)),
        }
    }

    /// The tier that the environment names, else the fastest one. Matrices on software adapters are emulated.
    pub(super) fn choose(caps: &Caps, report: &AdapterReport) -> Self {
        let wanted = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
        let possible = |tier: &Tier| tier.possible(caps, report);
        let fastest = || {
            let order = if caps.software { [Tier::Lanes, Tier::Tiled] } else { [Tier::Matrix, Tier::Tiled] };
            order.into_iter().find(possible).unwrap_or(Tier::Tiled)
        };
        let Some(wanted) = wanted else { return fastest() };
        Self::ALL.into_iter().find(|tier| tier.to_string() == wanted).filter(possible).unwrap_or_else(|| {
            tracing::warn!("{VARIABLE}={wanted}: {} cannot do that; its own choice is {}", report.name, fastest());
            fastest()
        })
    }
}

/// A product by matrices whose tile can be chosen: operation, rows, columns, terms of a sum.
pub type TileKey = (&'static str, usize, usize, usize);

impl Context {
    /// Matrices are used after they have multiplied right once on this very device.
    pub(super) fn settle(&self, tier: Tier) {
        let trusted = tier != Tier::Matrix || crate::ops::matrix::self_test(self);
        // Nobody else has seen this context yet, so the cell is empty.
        let _ = self.inner.tier.set(if trusted { tier } else { Tier::Tiled });
    }

    /// Which kernels of products, convolutions and attention run here.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.inner.tier.get().copied().unwrap_or(Tier::Tiled)
    }

    /// The tile chosen by measurement for a product, as an index into the adapter's list.
    pub(crate) fn tile(&self, key: &TileKey) -> Option<usize> {
        self.inner.tiles.lock().ok().and_then(|tiles| tiles.get(key).copied())
    }

    /// Sets the tile of a product for recordings made from now on. Results do not depend on it.
    pub fn set_tile(&self, key: TileKey, tile: usize) {
        if let Ok(mut tiles) = self.inner.tiles.lock() {
            tiles.insert(key, tile);
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Lanes => "lanes",
            Tier::Tiled => "tiled",
            Tier::Matrix => "matrix",
        })
    }
}
