//! The lines that a user of each client writes for one relay. `serve` prints them at its start, doctor prints and runs
//! them, and `docs/clients` shows them.

use std::fmt::Write as _;
use std::path::PathBuf;

/// The model of every example: the cheapest that makes a picture.
pub(super) const ENDPOINT: &str = "fal-ai/flux-1/schnell";

/// What stands in the lines where a key is not known.
pub(in crate::cli) const KEY_PLACEHOLDER: &str = "<relay key>";

/// Where clients reach a relay. Addresses have no slash at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Site {
    /// The http address.
    pub(in crate::cli) http: Option<String>,
    /// The https address.
    pub(in crate::cli) https: Option<String>,
    /// The certificate authority of the https address, when it is not one that systems trust.
    pub(in crate::cli) ca_file: Option<PathBuf>,
}

impl Site {
    /// The address for clients that speak both, and the authority that it needs.
    pub(in crate::cli) fn either(&self) -> Option<(&str, Option<&str>)> {
        let plain = self.http.as_deref().map(|http| (http, None));
        plain.or_else(|| self.https.as_deref().map(|https| (https, self.ca_path())))
    }

    /// The authority's file, when its path can be written down.
    pub(in crate::cli) fn ca_path(&self) -> Option<&str> {
        self.ca_file.as_deref().and_then(std::path::Path::to_str)
    }
}

/// curl: a submit to the queue.
pub(in crate::cli) fn curl(site: &Site, key: &str) -> Option<String> {
    let (base, ca) = site.either()?;
    let trust = ca.map(|file| format!(" --cacert {}", quoted(file))).unwrap_or_default();
    Some(format!(
        "curl{trust} {base}/{ENDPOINT} -H 'Authorization: Bearer {key}' \\\n     \
         -H 'Content-Type: application/json' -d '{{\"prompt\":\"a cat\"}}'"
    ))
}

/// HTTPie: the same.
pub(super) fn httpie(site: &Site, key: &str) -> Option<String> {
    let (base, ca) = site.either()?;
    let trust = ca.map(|file| format!(" --verify={}", quoted(file))).unwrap_or_default();
    Some(format!("http{trust} POST {base}/{ENDPOINT} 'Authorization:Bearer {key}' 'prompt=a cat'"))
}

/// Python: the environment of `fal-client`, and a program. There is none without https.
pub(in crate::cli) fn python(site: &Site, key: &str) -> Option<String> {
    let mut lines = format!("export FAL_KEY={}\n", quoted(key));
    for (name, value) in python_settings(site)? {
        let _ = writeln!(lines, "export {name}={}", quoted(&value));
    }
    let _ = write!(
        lines,
        "python3 -c 'import fal_client; print(fal_client.subscribe(\"{ENDPOINT}\", {{\"prompt\": \"a cat\"}}))'"
    );
    Some(lines)
}

/// The variables, beside the key, that lead `fal-client` to the relay. It writes `https://` before a host itself.
pub(super) fn python_settings(site: &Site) -> Option<Vec<(&'static str, String)>> {
    let host = site.https.as_deref()?.strip_prefix("https://")?;
    let hosts = [("FAL_QUEUE_RUN_HOST", host.to_owned()), ("FAL_RUN_HOST", format!("{host}/run"))];
    let trust = site.ca_path().map(|file| ("SSL_CERT_FILE", file.to_owned()));
    Some(hosts.into_iter().chain(trust).collect())
}

/// JavaScript: the settings of `@fal-ai/client`, and a program.
pub(in crate::cli) fn javascript(site: &Site, key: &str) -> Option<String> {
    let (_, ca) = site.either()?;
    let start =
        ca.map(|file| format!("// Start node with the variable NODE_EXTRA_CA_CERTS={}\n", quoted(file)));
    let settings = javascript_settings(site, &format!("\"{key}\""))?;
    Some(format!(
        "{}{settings}\nconst {{ data }} = await fal.subscribe(\"{ENDPOINT}\", {{ input: {{ prompt: \"a cat\" }} }});\n\
         console.log(data);",
        start.unwrap_or_default()
    ))
}

/// The settings that lead `@fal-ai/client` to the relay; `key` is an expression.
pub(super) fn javascript_settings(site: &Site, key: &str) -> Option<String> {
    let (base, _) = site.either()?;
    Some(format!(
        "import {{ fal }} from \"@fal-ai/client\";\n\
         const hosts = {{ \"https://queue.fal.run\": \"\", \"https://fal.run\": \"/run\", \"https://rest.fal.ai\": \"\" }};\n\
         fal.config({{ credentials: {key}, requestMiddleware: async (r) => {{\n  \
         const {{ origin }} = new URL(r.url);\n  \
         return origin in hosts ? {{ ...r, url: \"{base}\" + hosts[origin] + r.url.slice(origin.length) }} : r;\n\
         }} }});"
    ))
}

/// A word as a shell takes it: bare when it is plain, in single quotes otherwise.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Site {
        Site {
            http: Some("http://127.0.0.1:8787".into()),
            https: Some("https://localhost:8788".into()),
            ca_file: Some("/a folder/ca.pem".into()),
        }
    }

    #[test]
    fn python_takes_the_https_address_and_its_authority() {
        insta::assert_snapshot!(python(&local(), "fr_test_x").unwrap(), @r#"
        export FAL_KEY=fr_test_x
        export FAL_QUEUE_RUN_HOST=localhost:8788
        export FAL_RUN_HOST=localhost:8788/run
        export SSL_CERT_FILE='/a folder/ca.pem'
        python3 -c 'import fal_client; print(fal_client.subscribe("fal-ai/flux-1/schnell", {"prompt": "a cat"}))'
        "#);
        assert_eq!(python(&Site { https: None, ..local() }, "k"), None);
    }

    #[test]
    fn the_others_take_http_and_need_no_authority() {
        for line in [curl(&local(), "k"), httpie(&local(), "k"), javascript(&local(), "k")] {
            let line = line.unwrap();
            assert!(line.contains("http://127.0.0.1:8787") && !line.contains("ca.pem"), "{line}");
        }
    }

    #[test]
    fn where_there_is_only_https_they_are_told_whom_to_trust() {
        let site = Site { http: None, ..local() };
        assert!(
            curl(&site, "k").unwrap().starts_with("curl --cacert '/a folder/ca.pem' https://localhost:8788/")
        );
        assert!(httpie(&site, "k").unwrap().starts_with("http --verify='/a folder/ca.pem' POST https://"));
        assert!(javascript(&site, "k").unwrap().contains("NODE_EXTRA_CA_CERTS='/a folder/ca.pem'"));
    }

    #[test]
    fn no_path_breaks_out_of_its_quotes() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
        assert_eq!(quoted(""), "''");
    }
}
