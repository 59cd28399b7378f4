//! Endpoint ids as the twin reads them. Kept apart from the relay's own reading on purpose: where the two disagree, a
//! test through both shows it, while one shared mistake would stay hidden.

/// More segments than any published endpoint has.
const MAX_SEGMENTS: usize = 16;
/// Longer than any published endpoint id.
const MAX_LEN: usize = 512;

/// An endpoint id such as `fal-ai/flux-1/dev`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    id: String,
    app_len: usize,
}

impl Endpoint {
    /// Reads a path without leading or trailing slash. A legacy id `110602490-lora` stands for `110602490/lora`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let id = with_owner(path)?;
        let segments: Vec<&str> = id.split('/').collect();
        let app_segments = if matches!(segments[0], "workflows" | "comfy") { 3 } else { 2 };
        let sized = id.len() <= MAX_LEN && (app_segments..=MAX_SEGMENTS).contains(&segments.len());
        if !sized || !segments.iter().all(|segment| is_segment(segment)) {
            return None;
        }
        let app_len = segments[..app_segments].iter().map(|segment| segment.len() + 1).sum::<usize>() - 1;
        Some(Self { id, app_len })
    }

    /// The whole id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The app that owns the endpoint: what fal's follow-up addresses are built on.
    pub(super) fn app(&self) -> &str {
        &self.id[..self.app_len]
    }

    /// What lies below the app, with its leading slash; empty for the app itself.
    pub(super) fn path(&self) -> &str {
        &self.id[self.app_len..]
    }

    /// The app's name without its owner.
    pub(super) fn alias(&self) -> &str {
        self.app().rsplit('/').next().unwrap_or_default()
    }
}

/// Puts the owner of a legacy id in front of it, where there is only one segment.
fn with_owner(path: &str) -> Option<String> {
    if path.contains('/') {
        return Some(path.to_owned());
    }
    let (owner, alias) = path.split_once('-')?;
    let numbered = !owner.is_empty() && owner.bytes().all(|b| b.is_ascii_digit());
    numbered.then(|| format!("{owner}/{alias}"))
}

fn is_segment(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_the_owner_and_the_alias() {
        for (path, app) in [
            ("fal-ai/flux-1/dev", "fal-ai/flux-1"),
            ("fal-ai/bytedance/seedream/v4/edit", "fal-ai/bytedance"),
            ("fal-ai/qwen-image-edit-plus", "fal-ai/qwen-image-edit-plus"),
            ("workflows/fal-ai/sdxl-sticker", "workflows/fal-ai/sdxl-sticker"),
            ("comfy/someone/flow/v2", "comfy/someone/flow"),
            ("110602490-lora", "110602490/lora"),
            ("openrouter/router/openai/v1/responses", "openrouter/router"),
        ] {
            assert_eq!(Endpoint::parse(path).unwrap().app(), app, "{path}");
        }
    }

    #[test]
    fn what_is_not_an_endpoint_is_refused() {
        let deep = vec!["a"; 17].join("/");
        for path in ["", "flux", "a//b", "../a", "a/..", "workflows/x", "a/b c", "a/%2e", "x-lora", &deep] {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }
}
