//! The Mersenne Twister mt19937 (Matsumoto and Nishimura 1998, <https://doi.org/10.1145/272991.272995>), 32-bit outputs,
//! seeded from one word with Knuth's multiplier as the 2002 reference does: the generator behind `torch.manual_seed` on a CPU.

/// Words of state.
const N: usize = 624;
/// Distance of the recurrence.
const M: usize = 397;

/// Generator state.
#[derive(Debug, Clone)]
pub(super) struct Mt19937 {
    /// Boxed: 2.5 kB are much to move around.
    state: Box<[u32; N]>,
    next: usize,
}

impl Mt19937 {
    pub fn new(seed: u32) -> Self {
        let mut state = Box::new([seed; N]);
        for i in 1..N {
            let previous = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(previous ^ (previous >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}
