//! Cutting a recording into submits by a time budget.

/// How many dispatches, from the front of `costs_ns`, fit one submit of `budget_ns`.
///
/// At least one: a single dispatch longer than the budget goes alone. A submit therefore never exceeds its budget by
/// more than one dispatch. Returns 0 only when there is nothing left.
#[must_use]
pub fn next_submit(costs_ns: &[f64], budget_ns: f64) -> usize {
    let mut total = 0.0;
    for (i, cost) in costs_ns.iter().enumerate() {
        total += cost.max(0.0);
        if total > budget_ns {
            return i.max(1);
        }
    }
    costs_ns.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thousand_random_plans_stay_in_budget() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for _ in 0..2000 {
            let budget = 1.0 + 100.0 * next();
            let costs: Vec<f64> = (0..(next() * 60.0) as usize).map(|_| next() * next() * 80.0).collect();
            let mut done = 0;
            while done < costs.len() {
                let n = next_submit(&costs[done..], budget);
                assert!(n > 0);
                let sum: f64 = costs[done..done + n].iter().sum();
                assert!(n == 1 || sum <= budget + 1e-9, "{sum} over {budget} with {n} dispatches");
                // Greedy: the next dispatch would not have fitted.
                if done + n < costs.len() {
                    assert!(sum + costs[done + n] > budget);
                }
                done += n;
            }
        }
        assert_eq!(next_submit(&[], 1.0), 0);
    }
}
