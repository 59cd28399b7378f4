//! Client tokens of a key, as far as operators have to do with them: how many there are, and their end.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Actor, AdminError};
use crate::ids::KeyId;
use crate::store::Role;

/// The client tokens of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokensView {
    /// How many work now.
    pub live: u64,
}

/// The client tokens of a key that were just ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokensRevoked {
    /// How many worked until now.
    pub revoked: u64,
}

impl Actor {
    /// How many client tokens of a key work.
    pub async fn key_tokens(&self, id: KeyId) -> Result<TokensView, AdminError> {
        self.may(Role::Read)?;
        let key = self.key_record(id).await?;
        Ok(TokensView { live: self.store().live_tokens(key.id, self.now()).await? })
    }

    /// Ends all client tokens of a key for good. The key goes on, and may make others.
    pub async fn revoke_tokens(&self, id: KeyId) -> Result<TokensRevoked, AdminError> {
        let author = self.author(Role::Manage)?;
        let key = self.key_record(id).await?;
        Ok(TokensRevoked { revoked: self.store().revoke_tokens(key.id, author).await? })
    }
}
