//! Lifetimes to physical slots.
//!
//! wgpu tracks hazards per whole buffer, so one arena would be an error: a dispatch that reads one range and writes
//! another of the same buffer is refused. Values therefore share *whole* buffers ("slots") whenever their lifetimes do
//! not overlap. Greedy by size, best fit: the largest value first, each into the smallest free slot that holds it.

/// When a value is alive, in dispatch indices: written at `first`, last touched at `last` (both inclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Bytes the value needs.
    pub bytes: u64,
    /// Dispatch that writes it first.
    pub first: usize,
    /// Dispatch that touches it last.
    pub last: usize,
}

/// The slot of each value and the size of each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotPlan {
    /// For each value its slot.
    pub slot_of: Vec<usize>,
    /// For each slot its bytes.
    pub slot_bytes: Vec<u64>,
}

impl SlotPlan {
    /// Bytes of all slots together.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.slot_bytes.iter().sum()
    }
}

/// Assigns every value a slot so that values with overlapping lifetimes never share one.
#[must_use]
pub fn assign_slots(lives: &[Life]) -> SlotPlan {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    // Ties by index keep the plan deterministic.
    order.sort_by_key(|&i| (std::cmp::Reverse(lives[i].bytes), i));
    let mut plan = SlotPlan { slot_of: vec![usize::MAX; lives.len()], slot_bytes: Vec::new() };
    let mut tenants: Vec<Vec<usize>> = Vec::new();
    for i in order {
        let free =
            |slot: &Vec<usize>| slot.iter().all(|&j| lives[j].last < lives[i].first || lives[i].last < lives[j].first);
        let best = (0..tenants.len()).filter(|&s| free(&tenants[s])).min_by_key(|&s| (plan.slot_bytes[s], s));
        let slot = best.unwrap_or_else(|| {
            tenants.push(Vec::new());
            plan.slot_bytes.push(lives[i].bytes);
            tenants.len() - 1
        });
        tenants[slot].push(i);
        plan.slot_of[i] = slot;
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_needs_two_slots() {
        let lives: Vec<Life> = (0..10).map(|i| Life { bytes: 100, first: i, last: i + 1 }).collect();
        assert_eq!(assign_slots(&lives).slot_bytes, [100, 100]);
    }

    #[test]
    fn overlapping_values_never_share() {
        let mut state = 1u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let lives: Vec<Life> = (0..1 + next(40))
                .map(|_| {
                    let first = next(50) as usize;
                    Life { bytes: 4 + next(1000), first, last: first + next(10) as usize }
                })
                .collect();
            let plan = assign_slots(&lives);
            for (i, a) in lives.iter().enumerate() {
                assert!(plan.slot_bytes[plan.slot_of[i]] >= a.bytes);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let overlap = a.first <= b.last && b.first <= a.last;
                    assert!(!overlap || plan.slot_of[i] != plan.slot_of[j], "{a:?} {b:?}");
                }
            }
        }
    }
}
