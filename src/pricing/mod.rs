//! What a call costs: the price book, estimates before it, charges after it.
