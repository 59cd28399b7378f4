//! Why prices or the bill could not be brought in.

use crate::platform::PlatformError;
use crate::store::StoreError;

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// fal did not tell.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nobody as whom fal could be asked.
    #[error("there is no fal account to ask with; set FAL_KEY or write [[accounts]] in the file")]
    NoAccount,
    /// Nobody may read the bill.
    #[error(
        "fal shows its bill to admin keys only: make one at fal and set accounts.admin_key (or admin_key_file)"
    )]
    NoAdminKey,
    /// A list without a single price is not a list.
    #[error("fal's price list has no prices at all; the old one stays")]
    NoPrices,
    /// A list that lacks most of what there was is rather broken than true.
    #[error(
        "fal's new price list lacks {gone} of the {of} prices that are known, so the old list stays; \
         `fal-relay prices diff` shows the difference, and `fal-relay prices sync --force` takes it all the same"
    )]
    TooManyGone {
        /// Prices that would be lost.
        gone: usize,
        /// Prices that are known.
        of: usize,
    },
    /// The bill's beginning lies ahead.
    #[error("the bill cannot be read from a moment that has not come yet")]
    Future,
}
