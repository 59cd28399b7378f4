//! Budget periods: calendar days, weeks and months in a time zone.
