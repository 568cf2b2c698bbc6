//! A hub on this machine, which can be made to misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The commit that the repository is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the hub answers with, and what it was asked.
#[derive(Default)]
pub struct Hub {
    /// Files by path in the repository.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// A file that it gives another checksum than its own.
    pub wrong_sum: Option<&'static str>,
    /// Closes a connection after so many bytes of a file.
    pub cut_after: Option<usize>,
    /// How many of those answers it cuts.
    pub cuts: usize,
    /// Answers only those who send this.
    pub token: Option<&'static str>,
    /// Does not know ranges.
    pub without_ranges: bool,
    /// Requests so far: path and range.
    pub asked: Vec<(String, Option<String>)>,
}

impl Hub {
    /// Starts it; its address and itself.
    pub fn start(self) -> (String, Arc<Mutex<Self>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hub = Arc::new(Mutex::new(self));
        let shared = hub.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // What is cut off or not read to its end is meant to fail.
                let _ = shared.lock().unwrap().answer(connection);
            }
        });
        (address, hub)
    }

    fn answer(&mut self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let header = |name: &str| {
            let value = |line: &String| {
                Some(line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))?.1.to_owned())
            };
            headers.iter().find_map(value)
        };
        let range = header("range");
        self.asked.push((path.clone(), range.clone()));
        if self.token.is_some_and(|token| header("authorization").as_deref() != Some(token)) {
            return write!(
                connection,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        if path.contains("/revision/main") {
            let body = self.listing();
            let length = body.len();
            return write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
        let Some((_, bytes)) =
            self.files.iter().find(|(name, _)| path.ends_with(&format!("/resolve/{COMMIT}/{name}")))
        else {
            return write!(
                connection,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        };
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = from.filter(|_| !self.without_ranges).unwrap_or(0);
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let rest = &bytes[from..];
        write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            rest.len()
        )?;
        let sent = match self.cut_after.filter(|_| self.cuts > 0) {
            Some(cut) if cut < rest.len() => {
                self.cuts -= 1;
                &rest[..cut]
            }
            _ => rest,
        };
        connection.write_all(sent)
    }

    /// As the hub's `/api/models/REPO/revision/main?blobs=true`.
    fn listing(&self) -> String {
        let file = |(path, bytes): &(&str, Vec<u8>)| {
            let sum = if self.wrong_sum == Some(path) { sha256(b"something else") } else { sha256(bytes) };
            match path.ends_with(".json") {
                true => serde_json::json!({"rfilename": path, "size": bytes.len(), "blobId": "b10b"}),
                false => serde_json::json!({"rfilename": path, "size": bytes.len(), "blobId": "b10b",
                    "lfs": {"sha256": sum, "size": bytes.len(), "pointerSize": 134}}),
            }
        };
        let files: Vec<_> = self.files.iter().map(file).collect();
        serde_json::json!({"id": "a/b", "sha": COMMIT, "siblings": files}).to_string()
    }
}

fn sha256(bytes: &[u8]) -> String {
    let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
