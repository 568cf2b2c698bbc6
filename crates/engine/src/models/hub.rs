//! The Hugging Face hub, or a mirror of it: which files a repository has, their sizes and checksums, their bytes.
//!
//! Not through the crate `hf-hub`: 0.5 and 1.0 both bring packages under MPL-2.0 (`option-ext`, `colored`), which
//! `tests/licences.rs` refuses. Tried with 0.5: it also compares no checksum, appends to a file whatever a server without
//! ranges sends, has no time limit, and does not know the machine's own root certificates; 1.0 is 280 packages. The
//! cache's layout, the variables and the token are the hub's.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lora_edit_pipeline::places::{hub_home, variable};
use serde::Deserialize;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

/// Where the hub is, unless HF_ENDPOINT says otherwise.
const ENDPOINT: &str = "https://huggingface.co";
/// Without a byte for so long, a connection counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub that can be asked.
pub struct Hub {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// A repository at one commit.
#[derive(Debug, Deserialize)]
pub struct Repository {
    /// The commit's hash: what is fetched afterwards is of this commit.
    pub sha: String,
    /// All files.
    #[serde(rename = "siblings")]
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteFile {
    /// Its path in the repository.
    #[serde(rename = "rfilename")]
    pub path: String,
    /// Its bytes.
    pub size: Option<u64>,
    lfs: Option<LargeFile>,
}

#[derive(Clone, Debug, Deserialize)]
struct LargeFile {
    sha256: String,
    size: u64,
}

impl RemoteFile {
    /// SHA-256 of the file, as hexadecimal digits; the hub tells it of large files only.
    pub fn sha256(&self) -> Option<&str> {
        self.lfs.as_ref().map(|large| large.sha256.as_str())
    }

    /// The file's bytes, if the hub tells.
    pub fn bytes(&self) -> Option<u64> {
        self.lfs.as_ref().map(|large| large.size).or(self.size)
    }
}

/// The rest of a file.
pub struct Rest {
    /// Where in the file it begins: at 0 where a server does not know ranges.
    pub from: u64,
    /// Its bytes.
    pub bytes: Box<dyn Read>,
}

impl Hub {
    /// The hub that HF_ENDPOINT, HF_TOKEN and the proxy's variables say.
    ///
    /// # Errors
    /// When HF_HUB_OFFLINE forbids it, or this machine has no root certificates.
    pub fn from_environment() -> Result<Self, String> {
        if variable("HF_HUB_OFFLINE").is_some_and(|value| value != "0") {
            return Err("HF_HUB_OFFLINE is set".into());
        }
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("lora-edit/", env!("CARGO_PKG_VERSION")));
        let config = match endpoint.starts_with("https:") {
            true => config.tls_config(tls()?),
            false => config,
        };
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().into(), endpoint, token: token() })
    }

    /// The files of a repository at its main branch.
    ///
    /// # Errors
    /// Names the address and what went wrong.
    pub fn repository(&self, repo: &str) -> Result<Repository, String> {
        let url = format!("{}/api/models/{repo}/revision/main?blobs=true", self.endpoint);
        let mut response = self.get(&url, None)?;
        let text = response.body_mut().read_to_string().map_err(|error| format!("{url}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{url}: {error}"))
    }

    /// A file's bytes from `from` on.
    ///
    /// # Errors
    /// Names the address and what went wrong.
    pub fn open(&self, repo: &str, commit: &str, path: &str, from: u64) -> Result<Rest, String> {
        let url = format!("{}/{repo}/resolve/{commit}/{path}", self.endpoint);
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let response = self.get(&url, range.as_deref())?;
        let from = if response.status() == http::StatusCode::PARTIAL_CONTENT { from } else { 0 };
        Ok(Rest { from, bytes: Box::new(response.into_body().into_reader()) })
    }

    fn get(&self, url: &str, range: Option<&str>) -> Result<http::Response<Body>, String> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let response = request.call().map_err(|error| format!("{url}: {error}"))?;
        match response.status().as_u16() {
            200..=299 => Ok(response),
            401 | 403 => Err(format!("{url}: access refused; HF_TOKEN must hold a token that may read it")),
            404 => Err(format!("{url}: not there")),
            status => Err(format!("{url}: the server answered {status}")),
        }
    }
}

/// rustls with the machine's own root certificates, so that a studio's proxy can be trusted by its administrators.
fn tls() -> Result<TlsConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("this machine has no root certificates; SSL_CERT_FILE may name a file of them".into());
    }
    let certificates: Vec<_> = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates));
    Ok(config.unversioned_rustls_crypto_provider(provider).build())
}

fn token() -> Option<String> {
    let file = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(hub_home()?.join("token")));
    let saved = || std::fs::read_to_string(file?).ok();
    let token = variable("HF_TOKEN").or_else(saved)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}
