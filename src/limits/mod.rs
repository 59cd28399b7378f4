//! Rates and jobs in flight. They may forget in a crash; money may not (invariant 9).
